import { randomUUID } from 'node:crypto';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { type DynamodbProxy, startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { itemBytes } from '../document/size.ts';
import { type EdgeStore, type Item, openEdge } from './table.ts';

let tables: TestTables;
let proxy: DynamodbProxy;
let edge: EdgeStore;

beforeAll(async () => {
  const access = await dynamodb();
  tables = await createTables(access);
  proxy = await startDynamodbProxy(access.endpoint);
  edge = openEdge({ ...tables.settings, dynamodbEndpoint: proxy.endpoint }, { credentials: access.credentials });
});
afterAll(async () => {
  edge.close();
  await proxy.stop();
  await tables.drop();
});

/** Stores documents with a text of `size` characters each; returns their keys. */
async function store(count: number, size: number): Promise<string[]> {
  const items = Array.from({ length: count }, (): Item & { composite_key: { S: string } } => {
    const identifier = randomUUID();
    return {
      composite_key: { S: `key_${identifier}` },
      environment_api_key: { S: 'key' },
      identifier: { S: identifier },
      identity_uuid: { S: randomUUID() },
      identity_traits: { L: [{ S: 'x'.repeat(size) }] },
    };
  });
  for (let from = 0; from < count; from += 10) {
    const some = items.slice(from, from + 10).map((item) => ({ item, bytes: itemBytes(item) }));
    await edge.identities.insertMany(some);
  }
  return items.map(({ composite_key }) => composite_key.S);
}

async function read(keys: readonly string[]) {
  const parts: ReadonlyMap<string, Item>[] = [];
  for await (const part of edge.identities.getParts(keys)) parts.push(part);
  return parts;
}

test('large documents arrive once each, in parts of a mebibyte, without those that do not exist', async () => {
  const keys = await store(60, 390_000);
  const parts = await read([...keys, 'key_absent', keys[0]!]);
  const sizes = parts.map((part) => JSON.stringify([...part.values()]).length);
  expect(Math.max(...sizes)).toBeLessThan(2 ** 20);
  expect(parts.flatMap((part) => [...part.keys()]).toSorted()).toEqual(keys.toSorted());
});

test('after large documents small ones soon take as few calls as before', async () => {
  await read(await store(20, 390_000));
  const keys = await store(1000, 100);
  await read(keys);
  const before = proxy.calls.length;
  expect((await read(keys)).length).toBe(10);
  expect(proxy.calls.length - before).toBe(10);
});
