import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { OverrideRowKey } from '@edge-migration/identity/edge/table/override-rows.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';

/** Of the documents of one region that are looked at together. Parsed they take several times as much, and four parts are under way. */
const MOST_BYTES = 2 * 2 ** 20;

/** Override rows by their names. */
export type Rows = ReadonlyMap<string, Item>;

const NONE: Rows = new Map();

/**
 * Documents by their keys.
 *
 * @throws ResponseTooLargeError when they are more than memory should hold
 */
export async function readDocuments(
  edge: EdgeStore,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Item>> {
  return keys.length === 0 ? NONE : edge.identities.getMany(keys, { signal, mostBytes: MOST_BYTES });
}

/** Override rows by their names; none where there is no such table. */
export async function readRows(edge: EdgeStore, keys: readonly OverrideRowKey[], signal: AbortSignal): Promise<Rows> {
  return keys.length === 0 || edge.overrideRows === undefined ? NONE : edge.overrideRows.getMany(keys, { signal });
}
