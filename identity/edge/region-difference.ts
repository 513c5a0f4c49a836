import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';

/** One document as a region has it. */
export interface RegionCopy {
  readonly region: string;
  readonly document: Item | undefined;
  /** Rows that the home region's document requires, by name; undefined where there is no such table. */
  readonly rows: ReadonlyMap<string, Item> | undefined;
}

/** How a region's copy differs from the home region's; without values. */
export interface RegionDifference {
  readonly region: string;
  /** `missing` there, `extra` there because the home region has none, or with different content. */
  readonly document?: 'missing' | 'extra' | 'differing';
  /** Rows of `environments_v2` that differ, or that only one of the two regions has. */
  readonly rows?: number;
}

/**
 * Compares regions with the home region. Replication copies items unchanged, so anything but the same item is a
 * difference; it is not conclusive while a write may be on its way.
 */
export function compareRegions(
  home: Omit<RegionCopy, 'region'>,
  copies: readonly RegionCopy[],
): readonly RegionDifference[] {
  return copies.flatMap((copy) => {
    const document = compareDocuments(home.document, copy.document);
    const rows = countDifferent(home.rows, copy.rows);
    if (document === undefined && rows === 0) return [];
    return [{ region: copy.region, ...(document && { document }), ...(rows > 0 && { rows }) }];
  });
}

function compareDocuments(home: Item | undefined, copy: Item | undefined): RegionDifference['document'] {
  if (home === undefined) return copy === undefined ? undefined : 'extra';
  if (copy === undefined) return 'missing';
  return sameItem(home, copy) ? undefined : 'differing';
}

function countDifferent(home: RegionCopy['rows'] = new Map(), copy: RegionCopy['rows'] = new Map()): number {
  const names = new Set([...home.keys(), ...copy.keys()]);
  return [...names].filter((name) => !sameItem(home.get(name), copy.get(name))).length;
}

function sameItem(one: Item | undefined, other: Item | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameValue({ M: withoutReplicationAttributes(one) }, { M: withoutReplicationAttributes(other) });
}
