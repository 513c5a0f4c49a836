/** Several projects on one stream: none of them blocks another. */

import { DYNAMODB_CALL } from '@edge-migration/runtime/policies.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type DynamodbProxy, startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { createHarness, type Harness, people, written } from './applier/harness.ts';

let on: Harness;
let proxy: DynamodbProxy;
const running: (() => Promise<void>)[] = [];

beforeAll(async () => {
  on = await createHarness();
  proxy = await startDynamodbProxy(on.dynamodbEndpoint);
});

afterEach(async () => {
  proxy.inject(undefined);
  for (const stop of running.splice(0)) await stop();
});

afterAll(async () => {
  await proxy.stop();
  await on[Symbol.asyncDispose]();
});

function start(settings: Readonly<Record<string, string>>): () => Promise<void> {
  const stop = on.start({ EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint, ...settings });
  running.push(stop);
  return stop;
}

async function fill(id: number, names: readonly string[], spec: object = {}): Promise<void> {
  await on.project(id);
  await on.migrate(id, spec);
  await on.rows({
    environments_identity: names.map((identifier, index) => ({
      ...{ id: id * 10_000 + index, identifier, environment_id: id },
    })),
  });
}

const countOf = (id: number) => on.tables.count(`key-${id}`);
const reaches = (id: number, count: number) =>
  waitFor(async () => (await countOf(id)) === count, {
    for: `${count} of project ${id}`,
    timeoutMs: 240_000,
  });

test("a project's few events do not wait behind another's many earlier ones", { timeout: 600_000 }, async () => {
  // About three documents a second, so that there is time for a check.
  await fill(1, people(500), { replay: { maxWriteUnitsPerSecond: 10 } });
  await fill(2, people(20));
  // Before the applier runs, so that the whole flood is ahead in the stream.
  await on.publish(...people(500).map((name) => written(1, name)));
  await on.publish(...people(20).map((name) => written(2, name)));
  start({ EDGE_MIGRATION_CONCURRENCY: '8', EDGE_MIGRATION_PROJECT_CONCURRENCY: '6' });
  await reaches(2, 20);
  expect(await countOf(1)).toBeLessThan(400);
  await on.migrate(1);
  await reaches(1, 500);
  await on.drained();
});

test('a project with endless writes fills only its share of the events in flight; the rest is parked and comes back', {
  timeout: 600_000,
}, async () => {
  await fill(3, people(600));
  await fill(4, people(60));
  // Throttles every write of project 3.
  const isStuck = (body: object) => JSON.stringify(body).includes('key-3_');
  proxy.inject(({ operation, body }) =>
    !/Get|Query|Describe/.test(operation) && isStuck(body) ? { kind: 'throttle' } : undefined,
  );
  start({ EDGE_MIGRATION_WINDOW: '200', EDGE_MIGRATION_CONCURRENCY: '16', EDGE_MIGRATION_PROJECT_CONCURRENCY: '8' });
  await on.publish(...people(600).map((name) => written(3, name)));
  await on.publish(...people(60).map((name) => written(4, name)));
  await reaches(4, 60);
  expect(await countOf(3)).toBe(0);
  expect((await on.parked())['identity.parked.3.overflow']).toBeGreaterThan(300);
  proxy.inject(undefined);
  await reaches(3, 600);
  await on.drained();
  expect(await on.parked()).toEqual({});
});

test('a project with its own limit stays within it, and the others go on', { timeout: 600_000 }, async () => {
  // Each document costs three units, so all of them would take three minutes.
  await fill(5, people(600), { replay: { maxWriteUnitsPerSecond: 10 } });
  await fill(6, people(100));
  start({ EDGE_MIGRATION_PROJECT_CONCURRENCY: '8' });
  await on.publish(...people(600).map((name) => written(5, name)));
  await on.publish(...people(100).map((name) => written(6, name)));
  await reaches(6, 100);
  const limited = await waitFor(() => countOf(5).then((count) => count > 0 && count), { for: 'some of project 5' });
  expect(limited).toBeLessThan(500);
  await on.migrate(5, { replay: { maxWriteUnitsPerSecond: 400_000 } });
  await reaches(5, 600);
  await on.drained();
});

test('only a window of a backlog is in flight, events of one identity are applied together, and none is left out', {
  timeout: 600_000,
}, async () => {
  const names = people(50);
  await fill(8, names);
  await on.publish(...Array.from({ length: 2000 }, (_, index) => written(8, names[index % 50] ?? '')));
  start({ EDGE_MIGRATION_INSTANCE: 'bounded', EDGE_MIGRATION_WINDOW: '100', EDGE_MIGRATION_CONCURRENCY: '4' });
  let most = 0;
  let aside = 0;
  // Slows writes down until some were seen in flight: a fast machine would be done before the first check.
  proxy.inject(({ operation }) =>
    most === 0 && !/Get|Query|Describe/.test(operation) ? { kind: 'delay', delayMs: 500 } : undefined,
  );
  const project = async () => {
    const report = (await on.reports()).find(({ instance }) => instance === 'bounded');
    most = Math.max(most, (await on.consumer())?.num_ack_pending ?? 0);
    const found = report?.projects.find(({ projectId }) => projectId === 8);
    aside = Math.max(aside, found?.parked.overflow ?? 0);
    return found;
  };
  const applied = await waitFor(
    async () => {
      const counts = (await project())?.applied ?? {};
      const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
      return total >= 2000 ? counts : undefined;
    },
    { for: 'all to be applied', timeoutMs: 120_000 },
  );
  await on.drained();
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(100);
  // Events without room are set aside, and come back when there is room: they must not be set aside repeatedly.
  expect(aside).toBeLessThanOrEqual(4000);
  // Events that came for one document while it was being read were applied with one write.
  expect({ updated: 0, replaced: 0, ...applied }).toMatchObject({ updated: 0, replaced: 0 });
});

test('a former key of an environment is looked up once, however many events still use it', {
  timeout: 600_000,
}, async () => {
  const names = people(200);
  await fill(9, names);
  await on.core(
    "UPDATE environments_environment SET api_key = 'former-9' WHERE id = 9",
    "UPDATE environments_environment SET api_key = 'key-9' WHERE id = 9",
  );
  for (const [index, name] of names.entries()) await on.putInEdge('former-9', name, {}, 9 * 10_000 + index);
  const environment = { clientKey: 'former-9' };
  await on.publish(
    ...Array.from({ length: 2000 }, (_, index) => {
      const identifier = names[index % names.length] ?? '';
      return written(9, identifier, { target: { kind: 'identity', environment, identifier } });
    }),
  );
  let lists = 0;
  proxy.inject(({ operation }) => {
    if (operation === 'Query') lists += 1;
    return undefined;
  });
  const began = performance.now();
  start({ EDGE_MIGRATION_INSTANCE: 'late' });
  await on.drained();
  // What was found is used for ten seconds.
  expect(lists).toBeLessThan(20 * (1 + (performance.now() - began) / 10_000));
  expect(await on.tables.query('former-9')).toEqual([]);
  expect(await on.parked()).toEqual({});
});

test('an applier that is asked to stop exits without waiting for a store that does not answer', {
  timeout: 600_000,
}, async () => {
  await fill(7, people(300));
  const stop = start({ EDGE_MIGRATION_ACK_WAIT_SECONDS: '600' });
  let asked = 0;
  proxy.inject(() => {
    asked += 1;
    return { kind: 'hang' };
  });
  await on.publish(...people(300).map((name) => written(7, name)));
  await waitFor(() => asked > 0, { for: 'it to wait for an answer', timeoutMs: 120_000 });
  const before = performance.now();
  await stop();
  expect(performance.now() - before).toBeLessThan(DYNAMODB_CALL.budgetMs);
  proxy.inject(undefined);
  start({});
  // Returned to the stream, not left to time out.
  await reaches(7, 300);
  await on.drained();
});
