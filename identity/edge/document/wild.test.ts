import { createDatabase, dynamodb, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type DynamodbAccess } from '@edge-migration/test/edge/tables.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Core, openCore } from '../../core/core.ts';
import { execute, insertRows } from '../../fixtures/core-rows.ts';
import { expectedFacts } from '../../fixtures/wild-facts.ts';
import { numbered, WILD_PROJECT, wildIdentity } from '../../fixtures/wild-rows.ts';
import { INSERT_BATCH, openEdge } from '../table/table.ts';
import { type EncodedDocument, encodeIdentity, type Item, type SkippedIdentity } from './document.ts';
import { readDocument, sameValue } from './reader.ts';

let database: TestDatabase;
let core: Core;
let access: DynamodbAccess;

beforeAll(async () => {
  [database, access] = await Promise.all([createDatabase(), dynamodb()]);
  await insertRows(database.url, WILD_PROJECT);
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

async function encodeAll(): Promise<Map<number, EncodedDocument | SkippedIdentity>> {
  const encoded = new Map<number, EncodedDocument | SkippedIdentity>();
  for (const environment of (await core.projects.get(1))?.environments ?? []) {
    for (let after: string | null = null; ; ) {
      const page = await core.identities.page({ environment, after, until: null, limit: 40 });
      for (const identity of page.identities) encoded.set(identity.id, encodeIdentity(identity, environment));
      if (page.last === null) break;
      after = page.last;
    }
  }
  return encoded;
}

/** Inserts all documents as the copy does and returns the table's content. */
async function store(documents: readonly EncodedDocument[]): Promise<Map<string | undefined, Item>> {
  await using tables = await createTables(access);
  const edge = openEdge(tables.settings, { credentials: access.credentials });
  for (let start = 0; start < documents.length; start += INSERT_BATCH) {
    const outcomes = await edge.identities.insertMany(documents.slice(start, start + INSERT_BATCH));
    expect(outcomes).toEqual(outcomes.map(() => 'inserted'));
  }
  edge.close();
  return new Map((await tables.scan()).map((item) => [item['composite_key']?.S, item]));
}

test('any rows become a document that reads like them, or are skipped for a reason', {
  timeout: 600_000,
}, async () => {
  let stored = 0;
  let skipped = 0;
  const batches = fc.array(wildIdentity, { minLength: 150, maxLength: 150, size: 'max' });
  await fc.assert(
    fc.asyncProperty(batches, async (wild) => {
      const { identities, tables } = numbered(wild, 1);
      await execute(database.url, `TRUNCATE ${Object.keys(tables)}`);
      await insertRows(database.url, tables);
      const encoded = await encodeAll();
      expect(encoded.size).toBe(identities.length);
      const documents = [...encoded.values()].filter((result) => result.kind === 'document');
      const items = await store(documents);
      for (const identity of identities) {
        const result = encoded.get(identity.id) ?? expect.fail('lost');
        const expected = expectedFacts(identity);
        if (result.kind === 'skipped') {
          skipped++;
          expect([...expected.reasons], JSON.stringify(identity)).toContain(result.reason);
          continue;
        }
        stored++;
        expect([...expected.reasons], JSON.stringify(identity)).toEqual([]);
        const item = items.get(result.key);
        expect(sameValue({ M: result.item }, { M: item ?? {} }), 'DynamoDB keeps the document').toBe(true);
        const read = readDocument(item ?? {});
        expect(read).toMatchObject({ kind: 'readable', identity: expected.identity });
      }
    }),
    { numRuns: 8, endOnFailure: true },
  );
  // Both must have occurred, or this shows nothing.
  expect(Math.min(stored, skipped)).toBeGreaterThan(100);
});
