import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { type DynamodbProxy, startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { converge, type Stores } from './converge.ts';
import { CoreUnreachableError } from './core/errors.ts';
import type { Touched } from './edge/merge.ts';
import { openEdge } from './edge/table/table.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { convergeShared, type SharedStores, shareStores } from './shared-stores.ts';
import { createStores, type TestStores } from './testing/stores.ts';

const PEOPLE = 60;
const TOUCHED: Touched = { traits: new Set(['plan']), overrides: new Set() };

let on: TestStores;
let proxy: DynamodbProxy;
let own: Stores;
let shared: SharedStores;
let coreReads = 0;
let readsUnderWay = 0;
let mostReadsUnderWay = 0;
const ending = new AbortController();

beforeAll(async () => {
  on = await createStores();
  const { core } = on.stores;
  const access = await dynamodb();
  proxy = await startDynamodbProxy(access.endpoint);
  const { environmentsV2Table: _, ...settings } = on.tables.settings;
  const edge = openEdge({ ...settings, dynamodbEndpoint: proxy.endpoint }, { credentials: access.credentials });
  const identities = Object.fromEntries(Object.entries(core.identities).map(([name, read]) => [name, counted(read)]));
  own = { ...on.stores, core: { ...core, identities: identities as unknown as typeof core.identities }, edge };
  shared = shareStores(own, { signal: ending.signal, isOutage: (error) => error instanceof CoreUnreachableError });
});

function counted(read: (...values: never[]) => Promise<unknown>): typeof read {
  return (...values) => {
    coreReads += 1;
    mostReadsUnderWay = Math.max(mostReadsUnderWay, ++readsUnderWay);
    return read(...values).finally(() => {
      readsUnderWay -= 1;
    });
  };
}

afterEach(() => proxy.inject(undefined));

afterAll(async () => {
  own.edge.close();
  await proxy.stop();
  await on[Symbol.asyncDispose]();
});

/** `PEOPLE` identities of Core named after `group`, with the trait `plan`. */
async function putInCore(group: string, from: number): Promise<string[]> {
  const names = Array.from({ length: PEOPLE }, (_, index) => `${group}-${index}`);
  await insertRows(on.databaseUrl, {
    environments_identity: names.map((identifier, index) => ({ id: from + index, identifier, environment_id: 1 })),
    environments_trait: names.map((_, index) => ({
      ...{ id: from + index, identity_id: from + index, trait_key: 'plan' },
      ...{ value_type: 'unicode', string_value: 'gold' },
    })),
  });
  return names;
}

const run = (identifier: string, signal = ending.signal) =>
  converge(shared, { environment: on.environment, identifier }, TOUCHED, signal);
const runAll = async (names: readonly string[]) =>
  (await Promise.all(names.map((name) => run(name)))).map(({ outcome }) => outcome);
const setPlan = (plan: string) => execute(on.databaseUrl, `UPDATE environments_trait SET string_value = '${plan}'`);
const planOf = async (name: string) =>
  (await own.edge.identities.get(`client-key_${name}`))?.['identity_traits']?.L?.[0]?.M?.['trait_value']?.S;
const all = (outcome: string) => Array.from({ length: PEOPLE }, () => outcome);

test('many identities are inserted, found unchanged and updated in a handful of calls', async () => {
  const names = await putInCore('crowd', 1000);
  for (const [outcome, calls] of [
    ['inserted', 15],
    ['unchanged', 6],
  ] as const) {
    const before = proxy.calls.length + coreReads;
    expect(await runAll(names)).toEqual(all(outcome));
    expect(proxy.calls.length + coreReads - before).toBeLessThan(calls);
  }
  await setPlan('free');
  expect(await runAll(names)).toEqual(all('updated'));
  expect(await Promise.all(names.map(planOf))).toEqual(all('free'));
});

test('an identity that cannot be asked for in Core fails alone', async () => {
  const names = await putInCore('poisoned', 2000);
  // Postgres accepts no NUL in a text.
  const results = await Promise.allSettled(
    [...names.slice(0, 30), 'a\u0000a', ...names.slice(30)].map((name) => run(name)),
  );
  expect(results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([30]);
});

test('work that is throttled or lost for all is done one by one', async () => {
  const names = await putInCore('unlucky', 3000);
  let count = 0;
  proxy.inject(({ operation }) => {
    if (operation !== 'BatchExecuteStatement') return undefined;
    return count++ % 2 === 0 ? { kind: 'throttleStatements', indexes: [0, 3, 4] } : { kind: 'loseAnswer' };
  });
  await runAll(names);
  expect(await Promise.all(names.map(planOf))).toEqual(all('gold'));
});

test('a concurrent write of an Edge client is kept, and a concurrent change in Core ends up in Edge', async () => {
  const names = await putInCore('busy', 4000);
  await runAll(names);
  await setPlan('silver');
  const theirs = { M: { trait_key: { S: 'theme' }, trait_value: { S: 'dark' } } };
  const { identities } = own.edge;
  async function happen(): Promise<void> {
    const item = await identities.get('client-key_busy-0');
    const traits = { L: [...(item?.['identity_traits']?.L ?? []), theirs] };
    await identities.updateIfUnchanged('client-key_busy-0', { set: { identity_traits: traits } }, {});
    await setPlan('platinum');
  }
  // Once, when everything has been read and nothing written.
  let happened: Promise<void> | undefined;
  const writeMany: typeof identities.writeMany = async (...values) => {
    happened ??= happen();
    await happened;
    return identities.writeMany(...values);
  };
  const interrupted = { ...own, edge: { ...own.edge, identities: { ...identities, writeMany } } };
  const using = shareStores(interrupted, { signal: ending.signal, isOutage: () => false });
  await Promise.all(
    names.map((identifier) => converge(using, { environment: on.environment, identifier }, TOUCHED, ending.signal)),
  );
  expect(await Promise.all(names.map(planOf))).toEqual(all('platinum'));
  expect((await own.edge.identities.get('client-key_busy-0'))?.['identity_traits']?.L).toContainEqual(theirs);
});

test('an aborted caller writes nothing, and the others continue', async () => {
  const names = await putInCore('stopped', 5000);
  const stopping = new AbortController();
  const results = Promise.allSettled(
    names.map((name, index) => run(name, index % 2 === 0 ? ending.signal : stopping.signal)),
  );
  stopping.abort(new Error('stop'));
  const statuses = (await results).map(({ status }) => status);
  expect(statuses).toEqual(names.map((_, index) => (index % 2 === 0 ? 'fulfilled' : 'rejected')));
  expect(await Promise.all(names.map(planOf))).toEqual(names.map((_, index) => (index % 2 === 0 ? 'gold' : undefined)));
});

test('large identities are converged alone, few at a time, beside many small ones', async () => {
  const names = await putInCore('mixed', 9000);
  const large = names.slice(0, 20);
  await execute(
    on.databaseUrl,
    `INSERT INTO environments_trait (id, trait_key, value_type, string_value, created_date, identity_id)
     SELECT i.id * 1000 + n, 'long' || n, 'unicode', repeat('x', 2000), now(), i.id
       FROM environments_identity i, generate_series(1, 60) n
      WHERE i.identifier = ANY ('{${large.join(',')}}')`,
  );
  const converge = (touched: Touched) =>
    Promise.all(
      names.map((identifier) =>
        convergeShared(shared, { environment: on.environment, identifier }, touched, ending.signal),
      ),
    );
  mostReadsUnderWay = 0;
  expect((await converge(TOUCHED)).map(({ outcome }) => outcome)).toEqual(all('inserted'));
  await setPlan('platinum');
  expect((await converge(TOUCHED)).map(({ outcome }) => outcome)).toEqual(all('updated'));
  expect(await Promise.all(names.map(planOf))).toEqual(all('platinum'));
  expect(mostReadsUnderWay).toBeLessThanOrEqual(4);
});

test('a large identity does not wait for all large ones of another environment', async () => {
  const other = { ...on.environment, id: 2, apiKey: 'other-key' };
  const crowd = Array.from({ length: 20 }, (_, index) => ({
    environment: on.environment,
    identifier: `large-${index}`,
  }));
  const all = [...crowd, { environment: other, identifier: 'large-alone' }];
  await insertRows(on.databaseUrl, {
    environments_environment: [{ id: 2, api_key: 'other-key' }],
    environments_identity: all.map(({ environment, identifier }, index) => ({
      ...{ id: 20_000 + index, identifier, environment_id: environment.id },
    })),
  });
  await execute(
    on.databaseUrl,
    `INSERT INTO environments_trait (id, trait_key, value_type, string_value, created_date, identity_id)
     SELECT id * 1000 + n, 'long' || n, 'unicode', repeat('x', 2000), now(), id
       FROM environments_identity, generate_series(1, 60) n WHERE identifier LIKE 'large-%'`,
  );
  const order: string[] = [];
  await Promise.all(
    all.map(async (subject) => {
      await convergeShared(shared, subject, TOUCHED, ending.signal);
      order.push(subject.identifier);
    }),
  );
  expect(order.indexOf('large-alone')).toBeLessThan(8);
});
