import type { Database } from './database.ts';

/** The lookups of every copied page and every replayed event, by table and leading columns of an index. */
const NEEDED: readonly (readonly [string, readonly string[]])[] = [
  ['environments_identity', ['environment_id', 'identifier']],
  ['environments_trait', ['identity_id']],
  ['features_featurestate', ['identity_id']],
  ['features_featurestatevalue', ['feature_state_id']],
  ['multivariate_multivariatefeaturestatevalue', ['feature_state_id']],
];

const INDEXES = `
  SELECT t.relname AS table,
         ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                ORDER BY k.place) AS columns
    FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
   WHERE t.oid = ANY (SELECT to_regclass('public.' || quote_ident(name)) FROM unnest($1::text[]) AS name)
     AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL`;

/**
 * Those of Flagsmith's own indexes that we rely on and that are missing or invalid, as `table (columns)`. Without one
 * of them results are right but slow, because Core's Postgres scans whole tables for us.
 *
 * @throws as {@link Database.read}
 */
export async function findMissingIndexes(database: Database, signal?: AbortSignal): Promise<string[]> {
  const tables = NEEDED.map(([table]) => table);
  const found = await database.read((query) => query<{ table: string; columns: string[] }>(INDEXES, [tables]), signal);
  return NEEDED.flatMap(([table, columns]) => {
    const isIndexed = found.some(
      (index) => index.table === table && columns.every((name, place) => index.columns[place] === name),
    );
    return isIndexed ? [] : [`${table} (${columns.join(', ')})`];
  });
}
