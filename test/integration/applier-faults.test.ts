/** Appliers with a frozen process, a lost stream or a slow table, and appliers killed half-way. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ManagedProcess } from '../cluster/processes.ts';
import { waitFor } from '../cluster/wait.ts';
import { traitsOf } from '../edge/traits.ts';
import { startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { createHarness, type Harness, people, written } from './applier/harness.ts';

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

/** So slow that the work cannot end before the test raises the rate: about five documents a second. */
const SLOW = { replay: { maxWriteUnitsPerSecond: 15 } };

/** A migrating project with this many identities, with trait `plan` and, on request, an override of its own feature. */
async function fill(id: number, names: readonly string[], { overrides = false, spec = {} } = {}): Promise<void> {
  await on.project(id);
  await on.migrate(id, spec);
  const ids = names.map((_, index) => id * 10_000 + index);
  await on.rows({
    environments_identity: ids.map((one, index) => ({ id: one, identifier: names[index], environment_id: id })),
    environments_trait: ids.map((one) => ({
      ...{ id: one, identity_id: one, trait_key: 'plan' },
      ...{ value_type: 'unicode', string_value: 'old' },
    })),
    ...(overrides && {
      features_feature: [{ id, project_id: id, name: `feature-${id}` }],
      features_featurestate: ids.map((one) => ({ id: one, identity_id: one, feature_id: id, environment_id: id })),
    }),
  });
}

const documents = (id: number) => on.tables.query(`key-${id}`);
const countOf = (id: number) => on.tables.count(`key-${id}`);

/** Plans of all documents of an environment, by identifier. */
async function plans(id: number): Promise<Record<string, unknown>> {
  return Object.fromEntries((await documents(id)).map((item) => [item['identifier']?.S, traitsOf(item)['plan']]));
}

const someOf = (id: number, count: number) =>
  waitFor(async () => (await countOf(id)) > count, {
    for: 'some to be in Edge',
    timeoutMs: 120_000,
    intervalMs: 50,
  });

/** Appliers that end with the test. */
function createAppliers(settings: Readonly<Record<string, string>>) {
  const appliers: ManagedProcess[] = [];
  return {
    async spawn(name: string) {
      const applier = await on.spawn(name, settings);
      appliers.push(applier);
      return applier;
    },
    async [Symbol.asyncDispose]() {
      for (const applier of appliers) applier.signal('SIGCONT');
      await Promise.all(appliers.map((applier) => applier.stop()));
    },
  };
}

test('the events of a frozen applier are handled by another, and its own late writes change nothing', {
  timeout: 600_000,
}, async () => {
  const names = people(600);
  await fill(1, names, { spec: SLOW });
  await using appliers = createAppliers({ EDGE_MIGRATION_ACK_WAIT_SECONDS: '3', EDGE_MIGRATION_CONCURRENCY: '8' });
  const frozen = await appliers.spawn('frozen');
  await on.publish(...names.map((name) => written(1, name)));
  await someOf(1, 10);
  frozen.signal('SIGSTOP');
  expect(await countOf(1)).toBeLessThan(names.length);
  await on.migrate(1);
  // What it has read is out of date.
  await on.core(
    `UPDATE environments_trait SET string_value = 'new' WHERE identity_id BETWEEN 10000 AND 10499`,
    'DELETE FROM environments_trait WHERE identity_id BETWEEN 10500 AND 10599',
    'DELETE FROM environments_identity WHERE id BETWEEN 10500 AND 10599',
  );
  await on.publish(...names.map((name) => written(1, name)));
  await appliers.spawn('awake');
  const expected = Object.fromEntries(names.slice(0, 500).map((name) => [name, 'new']));
  await on.drained();
  expect(await plans(1)).toEqual(expected);
  const resumed = Date.now();
  frozen.signal('SIGCONT');
  await waitFor(
    async () => {
      const report = (await on.reports()).find(({ instance }) => instance === 'frozen');
      return Date.parse(report?.time ?? '') > resumed + 1000 && report?.projects.every(({ inHand }) => inHand === 0);
    },
    { for: 'the frozen applier to have nothing in flight', timeoutMs: 120_000 },
  );
  await on.drained();
  expect(await plans(1)).toEqual(expected);
});

test('a killed and restarted NATS loses no event', { timeout: 600_000 }, async () => {
  const names = people(600);
  await fill(2, names);
  await using appliers = createAppliers({ EDGE_MIGRATION_ACK_WAIT_SECONDS: '3', EDGE_MIGRATION_CONCURRENCY: '8' });
  await appliers.spawn('first');
  await appliers.spawn('second');
  await on.publish(...names.map((name) => written(2, name)));
  await someOf(2, 50);
  await on.nats.kill('SIGKILL');
  await on.nats.restart();
  await waitFor(async () => (await countOf(2)) === names.length, { for: 'all', timeoutMs: 120_000 });
  await on.drained();
});

test('a throttled table slows the applier down, and every event is applied in the end', {
  timeout: 600_000,
}, async () => {
  const names = people(300);
  await fill(3, names);
  await using proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  let throttled = 0;
  proxy.inject(({ operation, body }) => {
    // An applier that cannot learn whether the table is global checks its writes again; that is not tested here.
    if (throttled >= 30 || operation === 'Query' || operation.startsWith('Describe')) return undefined;
    throttled += 1;
    if (operation !== 'BatchExecuteStatement') return { kind: 'throttle' };
    return { kind: 'throttleStatements', indexes: (body.Statements ?? []).map((_, index) => index).slice(1) };
  });
  const stop = on.start({ EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  try {
    await on.publish(...names.map((name) => written(3, name)));
    await waitFor(async () => (await countOf(3)) === names.length, { for: 'all', timeoutMs: 180_000 });
    await on.drained();
  } finally {
    await stop();
  }
  expect(throttled).toBe(30);
  // However often a write was sent again, it took effect once.
  const reports = (await on.reports()).flatMap(({ projects }) => projects.filter(({ projectId }) => projectId === 3));
  expect(reports.map(({ applied }) => applied)).toEqual([{ inserted: 300 }]);
  expect(await on.parked()).toEqual({});
});

test('a deleted feature is removed from every document although the applier is killed half-way', {
  timeout: 600_000,
}, async () => {
  const names = people(700);
  await fill(4, names, { overrides: true });
  await using appliers = createAppliers({ EDGE_MIGRATION_ACK_WAIT_SECONDS: '3', EDGE_MIGRATION_CONCURRENCY: '4' });
  const first = await appliers.spawn('killed');
  await on.publish(...names.map((name) => written(4, name, { touched: { traits: [], overrides: [4] } })));
  const overridden = async () =>
    (await documents(4)).filter((item) => (item['identity_features']?.L ?? []).length > 0).length;
  await waitFor(async () => (await overridden()) === names.length, { for: 'all overrides', timeoutMs: 120_000 });
  await on.migrate(4, SLOW);
  await on.core('UPDATE features_featurestate SET deleted_at = now() WHERE feature_id = 4');
  const target = { kind: 'feature', projectId: 4, featureId: 4 } as const;
  const observedTime = new Date(Date.now() - 120_000).toISOString();
  await on.publish(written(4, '', { target, touched: { traits: [], overrides: [4] }, observedTime }));
  await waitFor(async () => (await overridden()) < names.length, { for: 'some to go', timeoutMs: 120_000 });
  first.signal('SIGKILL');
  await first.exited;
  expect(await overridden()).toBeGreaterThan(0);
  await on.migrate(4);
  await appliers.spawn('next');
  await waitFor(async () => (await overridden()) === 0, { for: 'all overrides to go', timeoutMs: 120_000 });
  await on.drained();
  expect(await documents(4)).toHaveLength(names.length);
});
