import type { Client } from 'pg';
import type { RowChanges } from './transcripts.ts';

type Row = Readonly<Record<string, unknown>>;
/** Rows by primary key, by table. */
export type Tables = ReadonlyMap<string, ReadonlyMap<string, Row>>;

const TABLES = [
  'organisations_organisation',
  'projects_project',
  'environments_environment',
  'environments_environmentapikey',
  'environments_identity',
  'environments_trait',
  'features_feature',
  'feature_versioning_environmentfeatureversion',
  'features_featurestate',
  'features_featurestatevalue',
  'multivariate_multivariatefeatureoption',
  'multivariate_multivariatefeaturestatevalue',
];

/** All rows of the recorded tables. */
export async function rowsOf(client: Client): Promise<Tables> {
  const tables = TABLES.map((name) => `SELECT '${name}' AS name, to_jsonb(one) AS row FROM ${name} AS one`);
  const { rows } = await client.query<{ name: string; row: Row }>(tables.join(' UNION ALL '));
  const found = new Map(TABLES.map((name) => [name, new Map<string, Row>()]));
  for (const { name, row } of rows) found.get(name)?.set(String(row['id'] ?? row['uuid']), row);
  return found;
}

/** The differences, in the format of the recordings. */
export function changesBetween(before: Tables, after: Tables): RowChanges {
  const changes: Record<string, RowChanges[string]> = {};
  for (const [name, rows] of after) {
    const old = before.get(name) ?? new Map<string, Row>();
    const inserted = [...rows].flatMap(([key, row]) => (old.has(key) ? [] : [row]));
    const deleted = [...old.keys()].filter((key) => !rows.has(key));
    const updated = Object.fromEntries([...rows].flatMap(([key, row]) => columnsChanged(key, old.get(key), row)));
    if (inserted.length + deleted.length + Object.keys(updated).length > 0) {
      changes[name] = { inserted, deleted, updated };
    }
  }
  return changes;
}

function columnsChanged(key: string, before: Row | undefined, after: Row) {
  if (before === undefined) return [];
  const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (names.length === 0) return [];
  const columns = names.map((name): [string, [unknown, unknown]] => [name, [before[name], after[name]]]);
  return [[key, Object.fromEntries(columns)] as const];
}
