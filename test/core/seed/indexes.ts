import type { ClientBase } from 'pg';

/** From this number of rows it pays to build indexes after the load. */
const MANY = 50_000;

/** Primary keys stay, because others refer to them. */
const TABLES = ['environments_identity', 'environments_trait'];

/**
 * Runs `load` with the big tables' indexes and unique constraints dropped when many rows are added, then rebuilds
 * them under the same names.
 */
export async function withoutIndexes(client: ClientBase, rows: number, load: () => Promise<void>): Promise<void> {
  if (rows < MANY) return load();
  const { rows: indexes } = await client.query<{ drop: string; create: string }>(INDEXES, [TABLES]);
  for (const { drop } of indexes) await client.query(drop);
  await load();
  for (const { create } of indexes) await client.query(create);
}

const INDEXES = `
  SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %I', i.relname)
              ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', x.indrelid::regclass, c.conname) END AS drop,
    CASE WHEN c.oid IS NULL THEN pg_get_indexdef(x.indexrelid)
         ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', x.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
         END AS create
  FROM pg_index AS x
  JOIN pg_class AS i ON i.oid = x.indexrelid
  LEFT JOIN pg_constraint AS c ON c.conindid = x.indexrelid AND c.contype = 'u'
  WHERE x.indrelid = ANY ($1::regclass[]) AND NOT x.indisprimary
  ORDER BY x.indexrelid`;
