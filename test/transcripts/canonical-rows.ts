import type { RowChanges } from './transcripts.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A value set by the database or the clock, by its meaning: which row it is, or that it is new. */
export type Names = ReadonlyMap<string, string>;

type Row = Readonly<Record<string, unknown>>;

/** For rows without a sequential id, and those that Core inserts in no particular order. */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  feature_versioning_environmentfeatureversion: ['environment_id', 'feature_id'],
  multivariate_multivariatefeaturestatevalue: ['feature_state_id', 'multivariate_feature_option_id'],
};

/** Names for new rows: by table, in their order. */
export function namesOf(...changes: RowChanges[]): Names {
  const names = new Map<string, string>();
  const inserted = Map.groupBy(
    changes.flatMap((change) =>
      Object.entries(change).flatMap(([table, rows]) => (rows.inserted ?? []).map((row) => ({ table, row }))),
    ),
    ({ table }) => table,
  );
  for (const [table, rows] of inserted) {
    const columns = ORDER[table] ?? ['id'];
    const sorted = rows.map(({ row }) => row).sort((left, right) => compareBy(columns, left, right));
    for (const [index, row] of sorted.entries()) {
      names.set(String(row['id'] ?? row['uuid']), `new ${table} ${index + 1}`);
      for (const key of [row['api_key'], row['key']].map(String))
        if (GENERATED_KEY.test(key)) names.set(key, 'new key');
    }
  }
  return names;
}

function compareBy(columns: readonly string[], left: Row, right: Row): number {
  for (const column of columns) {
    const difference = Number(left[column]) - Number(right[column]);
    if (difference !== 0) return difference;
  }
  return 0;
}

const GENERATED_KEY = /^(ser\.)?[2-9A-HJ-NP-Za-km-z]{22}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ANONYMOUS = /^[0-9a-f]{32}$/;
const PARSER_ERROR = /^((JSON|Multipart form) parse error) - /;
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)$/;

/** The initial rows of every transcript are older, anything scheduled is newer. */
const RECORDING = { begin: '2026-11-28T20:01:20', end: '2026-11-28T20:59' };

/** A value without the parts that differ between runs. */
export function canonical(value: Json, names: Names): Json {
  if (Array.isArray(value)) return value.map((item) => canonical(item, names));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, canonical(item, names)]));
  }
  const name = names.get(String(value));
  if (name !== undefined || typeof value !== 'string') return name ?? value;
  if (UUID.test(value) || ANONYMOUS.test(value)) return 'random';
  if (PARSER_ERROR.test(value)) return PARSER_ERROR.exec(value)![1]!;
  if (!TIME.test(value)) return value;
  return value > RECORDING.begin && value < RECORDING.end ? 'now' : new Date(value).toISOString();
}

/** Every row that changed, by time, table and name, with its new content as text. */
export function canonicalRows({
  changes,
  background,
}: {
  changes: RowChanges;
  background: RowChanges;
}): Map<string, string> {
  const names = namesOf(changes, background);
  const lines = new Map<string, string>();
  for (const [when, change] of Object.entries({ 'at once': changes, later: background })) {
    for (const [table, { inserted = [], deleted = [], updated = {} }] of Object.entries(change)) {
      const write = (key: unknown, what: string) =>
        lines.set(`${when} ${table} ${names.get(String(key)) ?? key}`, what);
      for (const row of inserted) write(row['id'] ?? row['uuid'], shown({ ...row, uuid: undefined }, names));
      for (const key of deleted) write(key, 'deleted');
      for (const [key, columns] of Object.entries(updated)) {
        write(key, shown(Object.fromEntries(Object.entries(columns).map(([name, [, after]]) => [name, after])), names));
      }
    }
  }
  return lines;
}

function shown(row: Row, names: Names): string {
  const columns = Object.entries(row).filter(([, value]) => value !== undefined);
  return JSON.stringify(
    canonical(Object.fromEntries(columns.sort(([left], [right]) => (left < right ? -1 : 1))) as Json, names),
  );
}
