/** Work in progress does not write after its EdgeMigration is suspended or deleted. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

vi.setConfig({ testTimeout: 600_000 });

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

/** An applier that has read ada from Core, and waits for her document until the test releases it. */
async function startUnderWay(id: number) {
  await on.project(id);
  await on.migrate(id);
  await on.rows({ environments_identity: [{ id, identifier: 'ada', environment_id: id }] });
  const proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  const arrived = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  let isReleased = false;
  // Every read, as one that waits for too long is given up and sent again.
  proxy.inject(({ operation }) => {
    if (isReleased || operation !== 'BatchGetItem') return undefined;
    arrived.resolve();
    return { kind: 'holdUp', until: letGo.promise };
  });
  const release = () => {
    isReleased = true;
    letGo.resolve();
  };
  const stop = on.start({ EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  await on.publish(written(id, 'ada'));
  await arrived.promise;
  return {
    letGo: release,
    writes: proxy.writes,
    async [Symbol.asyncDispose]() {
      release();
      await stop();
      await proxy.stop();
    },
  };
}

test('an identity that is being applied when its project is suspended waits without being written', async () => {
  await using applier = await startUnderWay(1);
  await on.migrate(1, { suspend: true });
  const aside = (count: number) =>
    waitFor(async () => ((await on.parked())['identity.parked.1.suspended'] ?? 0) >= count, {
      for: `${count} to wait`,
    });
  await on.publish(written(1, 'bob'));
  await aside(1);
  applier.letGo();
  await aside(2);
  expect(applier.writes()).toBe(0);
});

test('an identity that is being applied when its EdgeMigration is deleted is not written any more', async () => {
  await using applier = await startUnderWay(2);
  await on.endMigration(2);
  await on.publish(written(2, 'bob'));
  // Nor that one if its read was given up meanwhile.
  await waitFor(async () => (await on.depth()) <= 1, { for: 'only the one that is under way to be left' });
  applier.letGo();
  await on.drained();
  expect(applier.writes()).toBe(0);
});
