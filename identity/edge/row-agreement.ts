import type { Item } from './document/document.ts';
import { identityUuid } from './identity-uuid.ts';
import { OVERRIDES, type Touched } from './merge.ts';
import { overrideRowKey, sameOverrideRow } from './override-rows.ts';
import type { DocumentOwner } from './ownership.ts';
import { keyOf, type OverrideRowKey } from './table/override-rows.ts';

/** Where rows of touched overrides belong or may have been left: under the document's uuid, or that of an insert. */
export function findTouchedRows(
  environmentId: number,
  { apiKey, identifier }: DocumentOwner,
  { document, core }: { readonly document?: Item | undefined; readonly core?: Item | undefined },
  { overrides }: Touched,
): OverrideRowKey[] {
  const present = [document, core].flatMap((item) => item?.['identity_features']?.L ?? []).map(OVERRIDES.keyOf);
  const features = overrides === 'all' ? new Set(present.filter((id) => id !== undefined)) : overrides;
  const uuids = new Set([identityUuid(apiKey, identifier), document?.['identity_uuid']?.S].filter((uuid) => uuid));
  return [...features].flatMap((featureId) =>
    [...uuids].map((uuid) => keyOf(overrideRowKey({ environmentId, featureId, identityUuid: uuid! }))),
  );
}

/** Whether two regions have the same rows; in the order of their keys, undefined for those that a region lacks. */
export function areSameRows(own: readonly (Item | undefined)[], other: readonly (Item | undefined)[]): boolean {
  return own.every((row, index) => {
    const there = other[index];
    return row === undefined || there === undefined ? row === there : sameOverrideRow(row, there);
  });
}
