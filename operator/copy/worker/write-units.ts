import { itemBytes } from '@edge-migration/identity/edge/document/size.ts';
import type { DescribedTables, Item, TableFacts } from '@edge-migration/identity/edge/table/table.ts';
import type { WriteUnits } from '../write-units.ts';

const UNIT_BYTES = 1024;

/** Adds up the costs of writes: in the home region, and everywhere. */
export interface WriteUnitsSum {
  /** @param bytes of the document */
  add(document: { readonly item: Item; readonly bytes: number }, rows: readonly Item[]): void;
  /** In the home region, whose units limit the rate. */
  readonly home: number;
  /** By the places where they are billed. */
  readonly units: WriteUnits;
}

/**
 * An item costs a unit per KiB in its table and in every index that contains it, and the same in every other region
 * with a replica, as replicated write units.
 */
export function sumWriteUnits({ region, identities, overrideRows }: DescribedTables): WriteUnitsSum {
  const units: WriteUnits = {};
  let home = 0;

  function addItem(item: Item, bytes: number, table: TableFacts): void {
    const itemUnits = Math.ceil(bytes / UNIT_BYTES);
    const places = placesOf(item, table);
    home += itemUnits * places.length;
    for (const region of regionsOf(table)) {
      for (const place of places) {
        const name = `${region}/${place}`;
        units[name] = (units[name] ?? 0) + itemUnits;
      }
    }
  }

  const regionsOf = ({ replication }: TableFacts) =>
    replication.kind === 'SingleRegion' ? [region] : [region, ...replication.replicas.map((replica) => replica.region)];

  return {
    add({ item, bytes }, rows) {
      addItem(item, bytes, identities);
      if (overrideRows !== undefined) for (const row of rows) addItem(row, itemBytes(row), overrideRows);
    },
    get home() {
      return home;
    },
    units,
  };
}

/** The table, and the indexes that hold the item. */
function placesOf(item: Item, { table, indexes, indexKeys }: TableFacts): string[] {
  const holding = indexes.filter((_, index) => indexKeys[index]?.every((name) => item[name] !== undefined));
  return [table, ...holding.map((index) => `${table}/${index}`)];
}
