import { readFile } from 'node:fs/promises';
import { createDatabase } from '@edge-migration/test/cluster/shared.ts';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { downgrade, RELEASES, useSerialIds } from './releases.ts';

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: statement, rowMode: 'array' });
    return rows.flat();
  } finally {
    await client.end();
  }
}

const GATED = `SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND (table_name, column_name) IN (
  ('environments_environment', 'deleted_at'), ('environments_environment', 'use_v2_feature_versioning'),
  ('multivariate_multivariatefeatureoption', 'key'), ('features_featurestate', 'mv_hashing_salt'),
  ('environments_identity', 'system_traits')) ORDER BY 1`;

describe('Core’s database schema', () => {
  it('has no default, trigger, cascade or foreign key that takes effect before the commit', async () => {
    await using database = await createDatabase();
    const counts = await query(
      database.url,
      `SELECT (SELECT count(*)::int FROM information_schema.columns WHERE table_schema = 'public' AND column_default IS NOT NULL),
         (SELECT count(*)::int FROM pg_trigger WHERE NOT tgisinternal),
         (SELECT count(*)::int FROM pg_constraint WHERE contype = 'f' AND (confdeltype <> 'a' OR NOT condeferred))`,
    );
    expect(counts).toEqual([0, 0, 0]);
  });

  it('has no index on (environment_id, id), only the unique one on (environment_id, identifier)', async () => {
    await using database = await createDatabase();
    const indexes = await query(
      database.url,
      `SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename = 'environments_identity' ORDER BY 1`,
    );
    expect(indexes).toEqual([
      'btree (environment_id)',
      'btree (environment_id, created_date)',
      'btree (environment_id, identifier)',
      'btree (id)',
    ]);
  });
});

describe('An older release of Core', () => {
  const columns = {
    '2.41.0': [],
    '2.83.0': ['deleted_at'],
    '2.238.0': ['deleted_at', 'use_v2_feature_versioning'],
    '2.252.0': ['deleted_at', 'key', 'use_v2_feature_versioning'],
    '2.256.0': ['deleted_at', 'key', 'mv_hashing_salt', 'use_v2_feature_versioning'],
    '2.262.0': ['deleted_at', 'key', 'mv_hashing_salt', 'use_v2_feature_versioning'],
    '2.265.0': ['deleted_at', 'key', 'mv_hashing_salt', 'system_traits', 'use_v2_feature_versioning'],
  };

  it.each(RELEASES)('in version %s lacks what was added later', async (release) => {
    await using database = await createDatabase();
    await downgrade(database.url, release);
    expect(await query(database.url, GATED)).toEqual(columns[release]);
  });

  it('may have serial ids, which continue after the existing rows', async () => {
    await using database = await createDatabase();
    const vectors = await readFile(new URL('../../identity/fixtures/vectors.sql', import.meta.url), 'utf8');
    await query(database.url, vectors.slice(0, vectors.indexOf(';\n') + 1));
    await useSerialIds(database.url);
    const [id] = await query(
      database.url,
      'INSERT INTO organisations_organisation (persist_trait_data, stop_serving_flags) VALUES (true, true) RETURNING id',
    );
    expect(id).toBe(2000900001);
    expect(await query(database.url, `SELECT count(*)::int FROM pg_attribute WHERE attidentity <> ''`)).toEqual([0]);
  });
});
