import type { Item } from './document/document.ts';

/** Matches `aws:rep:deleting`, `aws:rep:updatetime` and `aws:rep:updateregion`. */
const PREFIX = 'aws:rep:';

/**
 * Whether DynamoDB itself keeps the attribute: the legacy version of global tables (2017.11.29) writes some into each
 * item for its own replication. They are no part of an application's data.
 */
export const isReplicationAttribute = (name: string) => name.startsWith(PREFIX);

/** The item as applications know it; the same object where replication has added nothing. */
export function withoutReplicationAttributes(item: Readonly<Item>): Readonly<Item> {
  for (const name in item) {
    if (!isReplicationAttribute(name)) continue;
    return Object.fromEntries(Object.entries(item).filter(([other]) => !isReplicationAttribute(other)));
  }
  return item;
}

/** The part of the item that replication keeps. */
export function replicationAttributes(item: Readonly<Item>): Item {
  return Object.fromEntries(Object.entries(item).filter(([name]) => isReplicationAttribute(name)));
}
