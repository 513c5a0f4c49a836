/** Writes of killed, frozen or timed-out appliers that DynamoDB executes when they arrive late. */
import { ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { STREAM } from '@edge-migration/contract/streams/events.ts';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type DynamodbProxy, type Fault, startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

vi.setConfig({ testTimeout: 600_000 });

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

/** A late write is released, and seen, before the second time is over; a busy machine needs some of it. */
const QUICK = { EDGE_MIGRATION_ACK_WAIT_SECONDS: '3', EDGE_MIGRATION_LATE_WRITE_SECONDS: '30' };

async function addAda(id: number): Promise<void> {
  await on.project(id);
  await on.migrate(id);
  await on.rows({
    environments_identity: [{ id, identifier: 'ada', environment_id: id }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: 'free' }],
  });
}

async function deleteAda(id: number): Promise<void> {
  await on.core(
    `DELETE FROM environments_trait WHERE identity_id = ${id}`,
    `DELETE FROM environments_identity WHERE id = ${id}`,
  );
  await on.publish(written(id, 'ada', { touched: { traits: [], overrides: [] } }));
}

const find = (id: number) => on.document(`key-${id}`, 'ada');
const isThere = (id: number) => waitFor(async () => (await find(id)) !== undefined, { for: 'ada to be in Edge' });
const isGone = (id: number) =>
  waitFor(async () => (await find(id)) === undefined, { for: 'ada to be gone from Edge', timeoutMs: 120_000 });
const waitsAside = (id: number) =>
  waitFor(async () => ((await on.parked())[`identity.parked.${id}.late`] ?? 0) > 0, {
    for: 'an event to wait for late writes',
    timeoutMs: 120_000,
  });

/** Delays the first call of this kind until the test releases it. */
function holdFirst(proxy: DynamodbProxy, operation: RegExp) {
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  let isHeld = false;
  proxy.inject((call): Fault | undefined => {
    if (isHeld || !operation.test(call.operation)) return undefined;
    isHeld = true;
    arrive();
    return { kind: 'holdUp', until };
  });
  return { arrived, letGo };
}

/** An applier whose acknowledgements the test sends at any time. */
async function connectAsBefore() {
  const connection = await connect({ servers: on.nats.url });
  const { consumers } = jetstream(connection, { timeout: 60_000 });
  return {
    async take() {
      const consumer = await consumers.get(STREAM, (await on.consumer())?.name);
      return (await consumer.next({ expires: 30_000 }))!;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

test("a killed applier's write that arrives after its identity was deleted does not bring the identity back for good", async () => {
  await addAda(1);
  await using proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  const held = holdFirst(proxy, /PutItem/);
  const killed = await on.spawn('killed', { ...QUICK, EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  await on.publish(written(1, 'ada'));
  await held.arrived;
  killed.signal('SIGKILL');
  await killed.exited;
  await deleteAda(1);
  const next = await on.spawn('next', QUICK);
  await waitsAside(1);
  expect(await find(1)).toBeUndefined();
  held.letGo();
  await isThere(1);
  await isGone(1);
  await on.drained();
  expect(await on.parked()).toEqual({});
  await next.stop();
});

test('a late write brings no deleted identity back although a late acknowledgement has removed its event', async () => {
  await addAda(4);
  await ensureApplierStreams(on.manager, { streamReplicas: 1, parkedMaxBytes: 1024 ** 3, ackWaitSeconds: 3 });
  await using before = await connectAsBefore();
  await on.publish(written(4, 'ada'));
  const first = await before.take();
  await using proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  const held = holdFirst(proxy, /PutItem/);
  const killed = await on.spawn('killed', { ...QUICK, EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  await held.arrived;
  await first.ackAck();
  killed.signal('SIGKILL');
  await killed.exited;
  await deleteAda(4);
  const next = await on.spawn('next', QUICK);
  await waitsAside(4);
  held.letGo();
  await isThere(4);
  await isGone(4);
  await on.drained();
  expect(await on.parked()).toEqual({});
  await next.stop();
});

test('a write that was not answered in time does not bring a deleted identity back for good', async () => {
  await addAda(2);
  await using proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  const held = holdFirst(proxy, /PutItem/);
  const stop = on.start({ ...QUICK, EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  await on.publish(written(2, 'ada'));
  await isThere(2);
  await waitsAside(2);
  await deleteAda(2);
  await isGone(2);
  held.letGo();
  await isThere(2);
  await isGone(2);
  await on.drained();
  expect(await on.parked()).toEqual({});
  await stop();
});

test('an applier that was frozen past the ack deadline of its events writes nothing for them', async () => {
  await addAda(3);
  await on.putInEdge('key-3', 'ada', { plan: 'old' }, 3);
  await using proxy = await startDynamodbProxy(on.dynamodbEndpoint);
  const held = holdFirst(proxy, /BatchGetItem/);
  const frozen = await on.spawn('frozen', { ...QUICK, EDGE_MIGRATION_DYNAMODB_ENDPOINT: proxy.endpoint });
  await on.publish(written(3, 'ada'));
  await held.arrived;
  frozen.signal('SIGSTOP');
  const next = await on.spawn('next', QUICK);
  await waitsAside(3);
  expect(await on.traits('key-3', 'ada')).toEqual({ plan: 'free' });
  await next.stop();
  await on.core(`UPDATE environments_trait SET string_value = 'new' WHERE identity_id = 3`);
  // It resumes with a trait that differs from Core's, as it would without the pause.
  const resumed = new Date(Date.now() + 1000).toISOString();
  held.letGo();
  frozen.signal('SIGCONT');
  await waitFor(
    async () => (await on.reports()).some(({ instance, time }) => instance === 'frozen' && time > resumed),
    {
      for: 'the one that stood still to go on',
      timeoutMs: 120_000,
    },
  );
  expect(proxy.writes()).toBe(0);
  await frozen.stop();
});
