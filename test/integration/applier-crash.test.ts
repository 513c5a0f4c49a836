/** Appliers that are killed, frozen and stopped, between real stores. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

/** So slow that the work cannot end before the test raises the rate: about ten documents a second. */
const SLOW = { replay: { maxWriteUnitsPerSecond: 30 } };

const countOf = (id: number) => on.tables.count(`key-${id}`);

async function fill(id: number, people: number): Promise<string[]> {
  await on.project(id);
  const names = Array.from({ length: people }, (_, index) => `person-${index}`);
  await on.rows({
    environments_identity: names.map((identifier, index) => ({
      id: id * 10_000 + index,
      identifier,
      environment_id: id,
    })),
  });
  return names;
}

test('appliers killed in the middle of their work lose nothing', { timeout: 600_000 }, async () => {
  const names = await fill(1, 1500);
  await on.migrate(1, SLOW);
  const settings = { EDGE_MIGRATION_ACK_WAIT_SECONDS: '3', EDGE_MIGRATION_CONCURRENCY: '4' };
  await using resources = new AsyncDisposableStack();
  const spawn = async (name: string) => {
    const applier = await on.spawn(name, settings);
    resources.defer(async () => void (await applier.stop()));
    return applier;
  };
  const first = await spawn('first');
  const second = await spawn('second');
  await on.publish(...names.map((name) => written(1, name)));
  for (const victim of [first, second]) {
    const before = await countOf(1);
    await waitFor(async () => (await countOf(1)) > before + 20, {
      for: 'some to be in Edge',
      timeoutMs: 150_000,
    });
    victim.signal('SIGKILL');
    await victim.exited;
  }
  expect(await countOf(1)).toBeLessThan(names.length);
  await on.migrate(1);
  await spawn('third');
  await waitFor(async () => (await countOf(1)) === names.length, {
    for: 'all',
    timeoutMs: 150_000,
  });
  await on.drained();
});

test('nothing reaches Edge once an applier knows that the EdgeMigration is deleted, except for what is under way', {
  timeout: 600_000,
}, async () => {
  const names = await fill(2, 3000);
  await on.migrate(2, SLOW);
  const CONCURRENCY = 2;
  const stop = on.start({ EDGE_MIGRATION_CONCURRENCY: String(CONCURRENCY) });
  try {
    await on.publish(...names.map((name) => written(2, name)));
    await waitFor(async () => (await countOf(2)) > 20, {
      for: 'some to be in Edge',
      timeoutMs: 150_000,
    });
    await on.endMigration(2);
    const isKnown = async () =>
      (await on.depth()) === 0 ||
      (await on.reports()).some(
        ({ instance, foreign, projects }) =>
          instance === 'applier' &&
          (foreign > 0 ||
            projects.some(({ projectId, dropped }) => projectId === 2 && Object.keys(dropped).length > 0)),
      );
    await waitFor(isKnown, { for: 'its events to be dropped' });
    const count = await countOf(2);
    expect(count).toBeLessThan(names.length);
    await on.drained();
    expect((await countOf(2)) - count).toBeLessThanOrEqual(CONCURRENCY);
  } finally {
    await stop();
  }
});

test('an applier that is asked to stop returns its events in flight at once', { timeout: 600_000 }, async () => {
  const names = await fill(3, 1000);
  await on.migrate(3, SLOW);
  const stopFirst = on.start({ EDGE_MIGRATION_CONCURRENCY: '2', EDGE_MIGRATION_ACK_WAIT_SECONDS: '600' });
  await on.publish(...names.map((name) => written(3, name)));
  await waitFor(async () => (await countOf(3)) > 20, {
    for: 'some to be in Edge',
    timeoutMs: 150_000,
  });
  await stopFirst();
  expect(await countOf(3)).toBeLessThan(names.length);
  const reports = await on.reports();
  expect(reports.filter(({ goodbye, projects }) => goodbye && projects[0]?.projectId === 3)).toHaveLength(1);
  await on.migrate(3);
  const stopSecond = on.start();
  await waitFor(async () => (await countOf(3)) === names.length, {
    for: 'the rest',
    timeoutMs: 150_000,
  });
  await on.drained();
  await stopSecond();
});
