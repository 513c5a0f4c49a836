import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { OverrideRowKey } from '@edge-migration/identity/edge/table/override-rows.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';

/** For documents of one region that are compared together. Parsed, they take several times as much, in four parts. */
const MOST_BYTES = 2 * 2 ** 20;

/** Override rows by name. */
export type Rows = ReadonlyMap<string, Item>;

const NONE: Rows = new Map();

/**
 * Reads documents by key.
 *
 * @throws ResponseTooLargeError if they exceed the memory limits
 */
export async function readDocuments(
  edge: EdgeStore,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Item>> {
  return keys.length === 0 ? NONE : edge.identities.getMany(keys, { signal, mostBytes: MOST_BYTES });
}

/** Reads override rows by name; none if there is no such table. */
export async function readRows(edge: EdgeStore, keys: readonly OverrideRowKey[], signal: AbortSignal): Promise<Rows> {
  return keys.length === 0 || edge.overrideRows === undefined ? NONE : edge.overrideRows.getMany(keys, { signal });
}
