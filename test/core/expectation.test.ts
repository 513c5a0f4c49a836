import { readFile } from 'node:fs/promises';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalText } from './canonical.ts';
import { type ExpectedDocument, expectedDocuments } from './expectation.ts';

interface Vector {
  readonly case: string;
  readonly identity_id: number;
  readonly project_id: number;
  readonly document?: object;
  readonly dynamodb_local?: string;
}

const FIXTURES = new URL('../../identity/fixtures/', import.meta.url);
const vectors: Vector[] = JSON.parse(await readFile(new URL('vectors.json', FIXTURES), 'utf8')).vectors;

/** Deliberate differences from Flagsmith's migrator; see docs/flagsmith.md. */
const DIFFERENT = [
  // NULL-valued traits are omitted: Flagsmith's published document schema rejects them.
  'traits of every type',
  'trait NULL forms',
  // The winner is the one chosen by Core's flag evaluation, not the lowest id.
  'override: two live rows, later live_from on higher id: migrator takes lowest id',
  // Legacy feature types are written STANDARD.
  'override: archived, deleted, legacy-type, unicode-named feature',
];
const isDifferent = (vector: Vector) => DIFFERENT.some((name) => vector.case.startsWith(name));

/** Data on which Flagsmith's migrator gives up although Edge can store it. */
const RESCUED = new Set([
  'override uuid v1, not v4',
  'override uuid nil, not v4',
  'MV value uuid v1',
  'override environment_id NULL',
  'MV allocations 64.4, 29.7, 5.9: naive float sum 100.00000000000001 raises on Python 3.11; Python 3.12+ sum() is compensated (100.0) and accepts',
]);

/** 120 digits were rounded to 100 in the vector. Neither can be stored. */
const ROUNDED = '120 digits (> boto3 context precision 100)';

describe('The independent specification of the documents on Edge', () => {
  let database: TestDatabase;
  const expected = new Map<number, ExpectedDocument>();
  const [ok, bad, other] = [2000900001, 2000900002, 2000900003];

  beforeAll(async () => {
    database = await createDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(await readFile(new URL('vectors.sql', FIXTURES), 'utf8'));
    await client.end();
    for (const project of [ok, bad]) {
      for await (const document of expectedDocuments(database.url, project))
        expected.set(document.identityId, document);
    }
  });
  afterAll(() => database.drop());

  const comparable = vectors.filter(
    (vector) => vector.document !== undefined && !isDifferent(vector) && vector.case !== ROUNDED,
  );

  it.each(
    comparable.filter(({ project_id, case: name }) => project_id !== other && !name.includes('soft-deleted env')),
  )('equals what Flagsmith itself produces for: $case', (vector) => {
    const document = expected.get(vector.identity_id);
    expect(canonicalText(document?.document ?? {})).toBe(canonicalText(vector.document!));
    expect(document?.storable).toBe(vector.dynamodb_local === 'accepted');
  });

  it.each(vectors.filter(isDifferent))('differs on purpose for: $case', (vector) => {
    const document = expected.get(vector.identity_id);
    expect(canonicalText(document?.document ?? {})).not.toBe(canonicalText(vector.document!));
    expect(document?.storable).toBe(true);
  });

  it.each(vectors.filter(({ document }) => document === undefined))(
    'states whether Edge can store what aborts Flagsmith’s migrator: $case',
    (vector) => {
      expect(expected.get(vector.identity_id)?.storable).toBe(RESCUED.has(vector.case));
    },
  );

  it('omits soft-deleted environments and other projects', () => {
    const outside = vectors.filter(
      ({ project_id, case: name }) => project_id === other || name.includes('soft-deleted env'),
    );
    expect(outside).toHaveLength(2);
    for (const { identity_id } of outside) expect(expected.has(identity_id)).toBe(false);
    expect(expected.size).toBe(vectors.length - outside.length);
  });
});
