import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import type { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

let on: Harness;
let proxy: KubernetesProxy;
let stop: (() => Promise<void>) | undefined;

beforeAll(async () => {
  on = await createHarness();
  const started = await on.startProxy();
  proxy = started.proxy;
  stop = on.start({}, started.kubeConfigFile);
});

let held = Promise.withResolvers<boolean>();

/** Watches bring nothing, as from an API server that lags behind; their bookmarks and ends are also late. */
function holdWatches() {
  held = Promise.withResolvers();
  proxy.filterWatches(() => held.promise);
}

function catchUp() {
  proxy.filterWatches(undefined);
  proxy.inject(undefined);
  held.resolve(true);
}

afterEach(catchUp);

afterAll(async () => {
  await stop?.();
  await on?.[Symbol.asyncDispose]();
});

/** An identity in Core with the trait `plan`. */
async function putInCore(id: number, identifier: string) {
  await on.rows({
    environments_identity: [{ id, identifier, environment_id: id }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: 'gold' }],
  });
}

const hasArrived = (id: number, identifier: string) =>
  waitFor(async () => (await on.traits(`key-${id}`, identifier))?.['plan'] === 'gold', {
    for: `${identifier} to be in Edge`,
    timeoutMs: 120_000,
  });

const report = async () => (await on.reports()).find(({ goodbye }) => !goodbye);

describe('an applier behind an API server that lags', { timeout: 600_000 }, () => {
  test('drops no event on a view older than the event, because the EdgeMigration may be newer', async () => {
    await on.project(60);
    await on.migrate(60);
    await putInCore(60, 'first');
    await on.publish(written(60, 'first'));
    await hasArrived(60, 'first');

    await on.project(61);
    await putInCore(61, 'late');
    holdWatches();
    await on.migrate(61);
    await on.publish(written(61, 'late'));
    await hasArrived(61, 'late');
    expect((await report())?.foreign).toBe(0);
  });

  test('applies nothing on an unconfirmed view, because the migration may be suspended or gone', async () => {
    await on.project(62);
    await on.migrate(62);
    await putInCore(62, 'before');
    await on.publish(written(62, 'before'));
    await hasArrived(62, 'before');

    holdWatches();
    proxy.inject(({ verb }) => (verb === 'list' || verb === 'watch' ? { kind: 'hang' } : undefined));
    await on.core(`UPDATE environments_trait SET string_value = 'silver' WHERE identity_id = 62`);
    // Events may be applied while the view is still fresh; later it is in doubt, as long as something waits.
    await waitFor(
      async () => {
        await on.publish(written(62, 'before'));
        return (await report())?.confirmed === false;
      },
      { for: 'the view to be doubted', timeoutMs: 120_000, intervalMs: 1_000 },
    );
    await on.core(`UPDATE environments_trait SET string_value = 'bronze' WHERE identity_id = 62`);
    await on.publish(written(62, 'before'));
    const { time } = (await report())!;
    const twoReportsLater = async () => Date.parse((await report())?.time ?? '') > Date.parse(time) + 4_000;
    await waitFor(twoReportsLater, { for: 'two more reports', timeoutMs: 120_000 });
    expect((await on.traits('key-62', 'before'))?.['plan']).not.toBe('bronze');
    expect(await on.depth()).toBeGreaterThan(0);

    catchUp();
    const isApplied = async () => (await on.traits('key-62', 'before'))?.['plan'] === 'bronze';
    await waitFor(isApplied, { for: 'what had waited', timeoutMs: 120_000 });
  });
});
