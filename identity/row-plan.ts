import type { Item } from './edge/document/document.ts';
import { identityUuid } from './edge/identity-uuid.ts';
import type { Touched } from './edge/merge.ts';
import {
  diffOverrideRows,
  overriddenFeature,
  overrideRowKey,
  overrideRows,
  type RowDifference,
  sameOverrideRow,
} from './edge/override-rows.ts';
import { keyOf, rowName } from './edge/table/override-rows.ts';
import type { EdgeCallOptions, EdgeStore } from './edge/table/table.ts';

interface RowPlace {
  readonly environmentId: number;
  /** Also add rows that are missing although their overrides have not changed. */
  readonly syncRows: boolean;
  readonly touched: Touched | undefined;
  /** See {@link Step}. */
  readonly inserted: ReadonlySet<string> | undefined;
  /** Milliseconds since the epoch. */
  readonly writtenTime: number;
}

interface RowPlan {
  /** Rows of overrides that the document gets or loses. */
  readonly change: Pick<RowDifference, 'put' | 'remove'>;
  /** Rows that are wrong although the document does not change there. */
  readonly beside: Pick<RowDifference, 'put' | 'remove'>;
  /** To be put before all others, because they are removed with them. */
  readonly traced: readonly Item[];
}

/** Whether override rows are written or replicated apart from their document, so that the two may have diverged. */
export function areRowsApart(edge: EdgeStore): boolean {
  const { transactions, final } = edge.guarantees();
  return !transactions || !final;
}

/** What has to be done with the rows of a document when it changes from `before` to `after`, or is found to be right. */
export async function planRows(
  edge: EdgeStore,
  before: Item | undefined,
  after: Item | undefined,
  place: RowPlace,
  { signal }: EdgeCallOptions,
): Promise<RowPlan> {
  const { put, remove, kept } = diffOverrideRows(place.environmentId, before, after, place.writtenTime);
  return {
    change: { put, remove },
    beside: {
      put: await findWrongRows(edge, chooseChecked(edge, kept, place), { signal }),
      remove: areRowsApart(edge) ? await findLeftRows(edge, before ?? after, [before, after], place, { signal }) : [],
    },
    traced: await findTraced(edge, before, remove, place, { signal }),
  };
}

/**
 * The rows of unchanged overrides that are compared with the document. Where rows are written or replicated apart, an
 * override may be about to be removed although its row is gone already: one that is put too soon has to be removed
 * when the event is handled again, so its override has to be among those that it touches.
 */
function chooseChecked(edge: EdgeStore, kept: readonly Item[], { syncRows, touched }: RowPlace): readonly Item[] {
  if (touched === undefined || !areRowsApart(edge)) return syncRows ? kept : [];
  const { overrides } = touched;
  return kept.filter(({ feature_state }) => overrides !== 'all' && overrides.has(overriddenFeature(feature_state!)!));
}

/** Rows that a document's overrides should have but do not, such as those of an aborted attempt. */
async function findWrongRows(edge: EdgeStore, rows: readonly Item[], options: EdgeCallOptions): Promise<Item[]> {
  if (rows.length === 0 || edge.overrideRows === undefined) return [];
  const isApart = areRowsApart(edge);
  const present = await edge.overrideRows.getMany(rows.map(keyOf), options);
  return rows.filter((row) => {
    const found = present.get(rowName(keyOf(row)));
    return found === undefined || (isApart && !sameOverrideRow(found, row));
  });
}

/**
 * Keys of rows of touched overrides that the document neither has nor had, and with which they would be removed: a
 * row that was put separately may have been on its way when the override was removed, and a write in another region
 * may have replaced the document that the row came with: perhaps ours, inserted when an Edge client elsewhere created
 * its own, which has another uuid.
 */
async function findLeftRows(
  { overrideRows, guarantees }: EdgeStore,
  document: Item | undefined,
  states: readonly (Item | undefined)[],
  { environmentId, touched, inserted }: RowPlace,
  options: EdgeCallOptions,
): Promise<Item[]> {
  const { identity_uuid, environment_api_key, identifier } = document ?? {};
  if (overrideRows === undefined || identity_uuid?.S === undefined) return [];
  const named = touched === undefined || touched.overrides === 'all' ? new Set<string>() : touched.overrides;
  const elements = states.flatMap((each) => each?.['identity_features']?.L ?? []);
  const features = new Set(elements.map(overriddenFeature));
  const keysOf = (featureIds: Iterable<string>, identityUuid: string) =>
    [...featureIds].map((featureId) => keyOf(overrideRowKey({ environmentId, featureId, identityUuid })));
  const ours = identityUuid(environment_api_key?.S ?? '', identifier?.S ?? '');
  const isOther = !guarantees().final && states.every((each) => each?.['identity_uuid']?.S !== ours);
  const keys = [
    ...keysOf(named.difference(features), identity_uuid.S),
    ...(isOther ? keysOf(named.union(inserted ?? new Set()), ours) : []),
  ];
  if (keys.length === 0) return [];
  const present = await overrideRows.getMany(keys, options);
  return [...present.values()].map(keyItem);
}

/**
 * Rows that this region does not have and that are to be removed: they may be on their way here. Removing what is not
 * there leaves no trace, so they would stay when they arrive, unless they have been put before.
 */
async function findTraced(
  edge: EdgeStore,
  document: Item | undefined,
  removed: readonly Item[],
  { environmentId, writtenTime }: RowPlace,
  options: EdgeCallOptions,
): Promise<Item[]> {
  if (removed.length === 0 || document === undefined || edge.overrideRows === undefined) return [];
  if (edge.guarantees().final) return [];
  const names = new Set(removed.map((row) => rowName(keyOf(row))));
  const present = await edge.overrideRows.getMany(removed.map(keyOf), options);
  return overrideRows(environmentId, document, writtenTime).filter((row) => {
    const name = rowName(keyOf(row));
    return names.has(name) && !present.has(name);
  });
}

const keyItem = ({ environment_id, document_key }: Item): Item => ({
  environment_id: environment_id!,
  document_key: document_key!,
});
