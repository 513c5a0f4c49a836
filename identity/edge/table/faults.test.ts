import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type DynamodbAccess, type TestTables } from '@edge-migration/test/edge/tables.ts';
import {
  type DynamodbCall,
  type DynamodbProxy,
  startDynamodbProxy,
} from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { itemBytes } from '../document/size.ts';
import { type EdgeCallOptions, type EdgeOptions, type EdgeStore, type Item, openEdge } from './table.ts';

let access: DynamodbAccess;
let tables: TestTables;
let proxy: DynamodbProxy;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  access = await dynamodb();
  tables = await createTables(access);
  proxy = await startDynamodbProxy(access.endpoint);
});

afterEach(async () => {
  proxy.inject(undefined);
  for (const close of cleanUp.splice(0)) await close();
});

afterAll(async () => {
  await proxy.stop();
  await tables.drop();
});

/** Edge behind the proxy. */
function openFaulty(options: EdgeOptions = {}, endpoint = proxy.endpoint) {
  const edge = openEdge(
    { ...tables.settings, dynamodbEndpoint: endpoint },
    { credentials: access.credentials, ...options },
  );
  cleanUp.push(() => edge.close());
  return edge;
}

function createItem(): Item & { composite_key: { S: string } } {
  const identifier = randomUUID();
  return {
    composite_key: { S: `key_${identifier}` },
    environment_api_key: { S: 'key' },
    identifier: { S: identifier },
    identity_uuid: { S: randomUUID() },
    identity_traits: { L: [] },
  };
}

/** With sizes, as the copy does. */
const insert = (to: EdgeStore, items: readonly Item[], options?: EdgeCallOptions) =>
  to.identities.insertMany(
    items.map((item) => ({ item, bytes: itemBytes(item) })),
    options,
  );

const createItems = (count: number) => Array.from({ length: count }, createItem);

/** The fault for the first `times` calls of an operation. */
function first<F>(times: number, operation: string, fault: F): (call: DynamodbCall) => F | undefined {
  let left = times;
  return (call) => (call.operation === operation && left-- > 0 ? fault : undefined);
}

describe('throttling', () => {
  test('only the throttled statements of a batch are sent again', async () => {
    const edge = openFaulty();
    const items = createItems(25);
    proxy.inject(first(1, 'BatchExecuteStatement', { kind: 'throttleStatements', indexes: [0, 3, 24] } as const));
    const before = proxy.calls.length;
    expect(await insert(edge, items)).toEqual(items.map(() => 'inserted'));
    expect(proxy.calls.slice(before).map(({ body }) => body.Statements?.length)).toEqual([25, 3]);
    expect(edge.budget.spent().throttled).toBe(3);
    expect((await edge.identities.getMany(items.map((item) => item.composite_key.S))).size).toBe(25);
  });

  test('a throttled call is sent again and lowers the rate', async () => {
    const edge = openFaulty();
    proxy.inject(first(2, 'BatchExecuteStatement', { kind: 'throttle' } as const));
    const before = edge.budget.rate();
    expect(await insert(edge, createItems(2))).toEqual(['inserted', 'inserted']);
    expect(edge.budget.rate()).toBeLessThan(before);
    expect(edge.budget.spent().throttled).toBe(2);
  });

  test('throttling that outlasts the retry budget ends with an error that says what to do', async () => {
    const edge = openFaulty({ retryBudgetMs: 100 });
    proxy.inject(() => ({ kind: 'throttle' }));
    await expect(insert(edge, createItems(1))).rejects.toMatchObject({
      name: 'EdgeThrottled',
      disposition: 'throttled',
      message: expect.stringContaining('lower the write rate or raise the capacity'),
    });
    proxy.inject(() => ({ kind: 'throttleStatements', indexes: [0] }));
    await expect(insert(edge, createItems(1))).rejects.toMatchObject({ name: 'EdgeThrottled' });
  });

  test('reads end with an error when nothing was answered until the retry budget is spent', async () => {
    proxy.inject(first(1, 'BatchGetItem', { kind: 'leaveKeys' } as const));
    expect(await openFaulty().identities.getMany(['a', 'b'])).toEqual(new Map());
    proxy.inject(() => ({ kind: 'leaveKeys' }));
    await expect(openFaulty({ retryBudgetMs: 100 }).identities.getMany(['a', 'b'])).rejects.toMatchObject({
      name: 'EdgeThrottled',
      message: expect.stringContaining('throttles reads'),
    });
  });

  test('the budget is not charged for writes that were not carried out', async () => {
    const edge = openFaulty({ retryBudgetMs: 0 });
    proxy.inject(() => ({ kind: 'throttle' }));
    await expect(insert(edge, createItems(5))).rejects.toThrow();
    expect(edge.budget.spent().units).toBe(0);
  });

  test('the budget is charged exactly what the server reports, and learns from it what writes cost', async () => {
    const edge = openFaulty();
    proxy.inject((call) => ({ kind: 'reportCapacity', units: 4.5 * (call.body.Statements?.length ?? 0) }));
    await insert(edge, createItems(10));
    expect(edge.budget.spent().units).toBe(45);
    for (let round = 0; round < 30; round++) await insert(edge, createItems(1));
    proxy.inject(undefined);
    const before = edge.budget.spent().units;
    await insert(edge, createItems(10));
    expect(edge.budget.spent().units - before).toBeCloseTo(45, 0);
  });
});

describe('failures', () => {
  test.each([
    ['answers 500', { kind: 'answer', status: 500, type: 'InternalServerError' }],
    ['answers 503 without a known type', { kind: 'answer', status: 503, type: 'Busy' }],
    ['resets the connection', { kind: 'reset' }],
  ] as const)('a server that %s is asked again', async (_, fault) => {
    const edge = openFaulty();
    proxy.inject(first(2, 'BatchExecuteStatement', fault));
    expect(await insert(edge, createItems(1))).toEqual(['inserted']);
  });

  test('a write whose answer was lost is found to be done already', async () => {
    const edge = openFaulty();
    const [item] = createItems(1);
    proxy.inject(first(1, 'BatchExecuteStatement', { kind: 'loseAnswer' } as const));
    expect(await insert(edge, [item!])).toEqual(['exists']);
    const [other] = createItems(1);
    proxy.inject(first(1, 'PutItem', { kind: 'loseAnswer' } as const));
    expect(await edge.identities.putIfUnchanged(other!, undefined)).toEqual({ changed: other });
  });

  test('a server that does not answer costs no more than the request timeout', async () => {
    const edge = openFaulty({ requestTimeoutMs: 100 });
    proxy.inject(first(1, 'GetItem', { kind: 'hang' } as const));
    expect(await edge.identities.get('key_nobody')).toBeUndefined();
  });

  test('an unreachable server is an error that names endpoint and table', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const edge = openFaulty({ retryBudgetMs: 0 }, `http://127.0.0.1:${port}`);
    await expect(edge.describe()).rejects.toMatchObject({
      name: 'EdgeUnreachable',
      message: expect.stringMatching(
        new RegExp(`http://127.0.0.1:${port} did not answer for table .*ECONNREFUSED.*check`),
      ),
    });
  });

  test('silence lasts from the first unanswered request for items until any answer, even a refusal', async () => {
    const edge = openFaulty({ retryBudgetMs: 0 });
    expect(edge.silence()).toBeUndefined();
    const before = Date.now();
    proxy.inject(() => ({ kind: 'reset' }));
    await expect(edge.describe()).rejects.toThrow();
    expect(edge.silence()).toBeUndefined();
    for (let attempt = 0; attempt < 2; attempt++) await expect(edge.identities.get('a')).rejects.toThrow();
    const silence = edge.silence();
    expect(silence?.since).toBeGreaterThanOrEqual(before);
    expect(silence?.since).toBeLessThanOrEqual(Date.now() - Math.floor(silence?.lastedMs ?? 0));
    proxy.inject(undefined);
    await edge.describe();
    expect(edge.silence()).toBeDefined();
    proxy.inject(() => ({ kind: 'throttle' }));
    await expect(edge.identities.get('a')).rejects.toMatchObject({ name: 'EdgeThrottled' });
    expect(edge.silence()).toBeUndefined();
  });

  test.each([
    'ResourceInUseException',
    'RequestTimeoutException',
    'IDPCommunicationErrorException',
    'KMSInternalException',
    'ANameOfTheFutureException',
  ])('%s leads to a retry, and its message does not mention credentials', async (type) => {
    const edge = openFaulty();
    const fault = { kind: 'answer', status: 400, type } as const;
    proxy.inject(first(2, 'BatchExecuteStatement', fault));
    expect(await insert(edge, createItems(1))).toEqual(['inserted']);
    proxy.inject(() => fault);
    const withoutRetries = openFaulty({ retryBudgetMs: 0 });
    await expect(insert(withoutRetries, createItems(1))).rejects.toMatchObject({
      name: 'EdgeUnreachable',
      disposition: 'transient',
      message: expect.not.stringContaining('credentials'),
    });
  });

  test('ReplicatedWriteConflictException means that another region was faster: the write is sent again', async () => {
    const edge = openFaulty();
    const fault = { kind: 'answer', status: 400, type: 'ReplicatedWriteConflictException' } as const;
    proxy.inject(first(2, 'BatchExecuteStatement', fault));
    expect(await insert(edge, createItems(1))).toEqual(['inserted']);
    proxy.inject(() => fault);
    await expect(insert(openFaulty({ retryBudgetMs: 0 }), createItems(1))).rejects.toMatchObject({
      name: 'EdgeConflict',
      disposition: 'transient',
      message: expect.stringContaining('try again later'),
    });
  });

  test.each(['KMSThrottlingException', 'RequestThrottledException', 'SlowDown', 'TooManyRequestsException'])(
    '%s slows requests down',
    async (type) => {
      const edge = openFaulty();
      proxy.inject(first(1, 'BatchExecuteStatement', { kind: 'answer', status: 400, type } as const));
      const before = edge.budget.rate();
      expect(await insert(edge, createItems(1))).toEqual(['inserted']);
      expect(edge.budget.rate()).toBeLessThan(before);
    },
  );

  test.each(['KMSAccessDeniedException', 'KMSDisabledException', 'InaccessibleEncryptionDateTimeException'])(
    '%s refers people to the encryption key of the table',
    async (type) => {
      const edge = openFaulty();
      proxy.inject(() => ({ kind: 'answer', status: 400, type }));
      await expect(insert(edge, createItems(1))).rejects.toMatchObject({
        name: 'EdgeRefused',
        message: expect.stringContaining("check the key's state and policy in KMS"),
      });
    },
  );

  test('refused credentials are an error at once', async () => {
    const edge = openFaulty();
    proxy.inject(() => ({ kind: 'answer', status: 400, type: 'UnrecognizedClientException' }));
    const before = proxy.calls.length;
    await expect(insert(edge, createItems(1))).rejects.toMatchObject({
      name: 'EdgeRefused',
      message: expect.stringContaining('check the credentials and the permissions'),
    });
    expect(proxy.calls.length - before).toBe(1);
  });

  test('credentials that worked before are tried again, because roles and sessions are renewed', async () => {
    const edge = openFaulty();
    await edge.describe();
    proxy.inject(first(2, 'GetItem', { kind: 'answer', status: 400, type: 'ExpiredTokenException' } as const));
    expect(await edge.identities.get('key_nobody')).toBeUndefined();
  });
});

describe('waiting', () => {
  test('nothing is sent once the deadline has passed', async () => {
    const edge = openFaulty();
    const before = proxy.calls.length;
    const deadline = { left: () => 0 };
    await expect(insert(edge, createItems(1), { deadline })).rejects.toMatchObject({
      name: 'DeadlinePassedError',
    });
    expect(proxy.calls.length).toBe(before);
  });

  test('the deadline is checked again when the request is about to leave', async () => {
    const edge = openFaulty();
    const before = proxy.calls.length;
    let asked = 0;
    const deadline = { left: () => (++asked < 3 ? 1000 : -1) };
    await expect(insert(edge, createItems(1), { deadline })).rejects.toMatchObject({
      name: 'DeadlinePassedError',
    });
    expect(proxy.calls.length).toBe(before);
  });

  test('a request ends with its deadline', async () => {
    const edge = openFaulty();
    const end = performance.now() + 200;
    proxy.inject(() => ({ kind: 'hang' }));
    const deadline = { left: () => end - performance.now() };
    await expect(edge.identities.get('key_nobody', { deadline })).rejects.toMatchObject({
      name: 'DeadlinePassedError',
    });
  });

  test('an aborted signal ends requests and pauses with its reason', async () => {
    const edge = openFaulty();
    for (const fault of [{ kind: 'hang' }, { kind: 'throttle' }] as const) {
      const controller = new AbortController();
      const arrived = Promise.withResolvers<void>();
      proxy.inject(() => {
        arrived.resolve();
        return fault;
      });
      const inserting = insert(edge, createItems(1), { signal: controller.signal });
      await arrived.promise;
      controller.abort(new Error('stop'));
      await expect(inserting).rejects.toThrow('stop');
    }
  });
});
