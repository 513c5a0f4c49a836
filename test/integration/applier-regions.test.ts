/** An applier on tables of two regions with eventual consistency, where clients of the other region also write. */

import { MINUTE_MS, parsePlace } from '@edge-migration/contract/parked-place.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import { type EdgeStore, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GlobalTable, HELD, startGlobalTable } from '../cluster/global-table/global-table.ts';
import { regionalDynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { traitsOf } from '../edge/traits.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

async function addAda(on: Harness, id: number, plan: string): Promise<void> {
  await on.project(id);
  await on.migrate(id);
  await on.rows({
    environments_identity: [{ id, identifier: 'ada', environment_id: id }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: plan }],
  });
}

describe('an applier with two regions', () => {
  const resources = new AsyncDisposableStack();
  let global: GlobalTable;
  let on: Harness;
  let away: EdgeStore;

  beforeAll(async () => {
    global = resources.use(
      await startGlobalTable({ regions: ['eu-west-2', 'us-east-2'], server: await regionalDynamodb() }),
    );
    on = resources.use(await createHarness(global.region('eu-west-2')));
    const { endpoint, region, credentials } = global.region('us-east-2');
    const settings = { ...on.tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region };
    away = openEdge(settings, { credentials });
    resources.defer(() => away.close());
    // The second check comes that much later: a test sees before it what there is to be checked.
    resources.defer(on.start({ EDGE_MIGRATION_REPLICATION_LAG_SECONDS: '15' }));
  });

  afterAll(() => resources.disposeAsync());

  const key = (id: number) => compositeKey(`key-${id}`, 'ada');
  const home = (id: number) => on.traits(`key-${id}`, 'ada');
  const abroad = async (id: number) => {
    const document = await away.identities.get(key(id));
    return document && traitsOf(document);
  };

  /** A write by Edge's client there: on the document as that region has it. */
  async function setAbroad(id: number, name: string, value: string): Promise<void> {
    const document = (await away.identities.get(key(id)))!;
    const trait = { M: { trait_key: { S: name }, trait_value: { S: value } } };
    const set = { identity_traits: { L: [...(document['identity_traits']?.L ?? []), trait] } };
    expect(await away.identities.updateIfUnchanged(key(id), { set }, {})).toBe('written');
  }

  const hasRecheck = async (id: number) =>
    Object.keys(await on.parked()).some((subject) => subject.startsWith(`identity.parked.${id}.repeat.`));

  const waitForLook = (id: number) =>
    waitFor(() => hasRecheck(id), { for: `an event of project ${id} to wait for its second recheck` });

  const waitUntilDone = (id: number) =>
    waitFor(async () => !(await hasRecheck(id)) && (await on.depth()) === 0 && !(await hasRecheck(id)), {
      for: 'no event to be under way',
      timeoutMs: 280_000,
    });

  test('writes a trait again that a later write of the other region reverted, and keeps what was set there', async () => {
    await addAda(on, 1, 'gold');
    await on.putInEdge('key-1', 'ada', { plan: 'free' }, 1);
    await global.settle();
    global.setDelay(HELD);
    await on.publish(written(1, 'ada'));
    await waitForLook(1);
    expect(await home(1)).toEqual({ plan: 'gold' });
    await setAbroad(1, 'colour', 'blue');
    global.setDelay({ minMs: 0, maxMs: 0 });
    await global.settle();
    expect(await home(1)).toEqual({ plan: 'free', colour: 'blue' });
    await waitUntilDone(1);
    await global.settle();
    expect(await home(1)).toEqual({ plan: 'gold', colour: 'blue' });
    expect(await abroad(1)).toEqual({ plan: 'gold', colour: 'blue' });
  });

  test('deletes an identity again that a later write of the other region restored', async () => {
    await on.project(2);
    await on.migrate(2);
    await on.putInEdge('key-2', 'ada', { plan: 'free' }, 2);
    await global.settle();
    global.setDelay(HELD);
    await on.publish(written(2, 'ada', { touched: { traits: [], overrides: [] } }));
    await waitForLook(2);
    expect(await home(2)).toBeUndefined();
    await setAbroad(2, 'colour', 'blue');
    global.setDelay({ minMs: 0, maxMs: 0 });
    await global.settle();
    expect(await home(2)).toEqual({ plan: 'free', colour: 'blue' });
    await waitUntilDone(2);
    await global.settle();
    expect(await home(2)).toBeUndefined();
    expect(await abroad(2)).toBeUndefined();
  });

  test('is done after one check without a write when its result still holds', async () => {
    await addAda(on, 3, 'gold');
    const event = written(3, 'ada');
    await on.publish(event);
    await waitForLook(3);
    // Everything before that minute has reached its end, although something of a busy project always waits.
    const places = Object.keys(await on.parked()).map((subject) => parsePlace(subject)!);
    const minute = Math.floor(Date.parse(event.observedTime) / MINUTE_MS);
    expect(places.find(({ projectId }) => projectId === 3)).toMatchObject({ reason: 'repeat', minute });
    await global.settle();
    const writes = global.history.length;
    await waitUntilDone(3);
    expect(global.history).toHaveLength(writes);
    expect(await abroad(3)).toEqual({ plan: 'gold' });
  });
});

test('an applier with a single region checks nothing a second time', async () => {
  await using on = await createHarness();
  const stop = on.start();
  await addAda(on, 4, 'gold');
  await on.publish(written(4, 'ada'));
  await waitFor(async () => (await on.traits('key-4', 'ada')) !== undefined, { for: 'ada to be in Edge' });
  await on.drained();
  expect((await on.manager.streams.info(PARKING_STREAM)).state.last_seq).toBe(0);
  await stop();
});
