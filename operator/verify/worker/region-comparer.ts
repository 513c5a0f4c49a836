import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { compositeKey, type Item } from '@edge-migration/identity/edge/document/document.ts';
import type { ListedDocument } from '@edge-migration/identity/edge/table/listing.ts';
import { keyOf, type OverrideRowKey, rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import { type JudgedPair, judgeRegions, type RegionsPair } from '@edge-migration/identity/edge/verdict.ts';
import { type Comparison, type ComparisonKey, documentKeyOf, type RegionKind } from './comparison.ts';
import { type Rows, readDocuments, readRows } from './store-reads.ts';

/** The tables in a region other than the home region. */
export interface RegionTables {
  readonly region: string;
  readonly edge: EdgeStore;
}

/**
 * Combines the home region's data under a key with that of the other regions.
 *
 * @param rows of all documents, from which `toOwn` selects those that this one requires
 */
export type PairCopies = (
  key: string,
  document: Item | undefined,
  rows?: Rows | undefined,
  toOwn?: (all: Rows) => Rows,
) => RegionsPair;

/**
 * Compares other regions' copies; every read is consistent in its region, but misses writes on their way there. The
 * home region is always read first: changes that replication delivers meanwhile are not differences.
 */
export function createRegionComparer(
  { core, edge: home }: Stores,
  onConflict: 'KeepEdge' | 'CoreWins',
  regions: readonly RegionTables[],
) {
  const byName = new Map(regions.map(({ region, edge }) => [region, edge]));

  /**
   * Reads the regions' copies.
   *
   * @param rowKeys of the rows that the documents require; undefined if there is no such table
   * @returns undefined if no other region is compared
   */
  async function readCopies(
    keys: readonly string[],
    rowKeys: readonly OverrideRowKey[] | undefined,
    signal: AbortSignal,
  ): Promise<PairCopies | undefined> {
    if (regions.length === 0) return undefined;
    const copies = await Promise.all(
      regions.map(async ({ region, edge }) => ({
        region,
        documents: await readDocuments(edge, keys, signal),
        rows: rowKeys && (await readRows(edge, rowKeys, signal)),
      })),
    );
    return (key, document, rows, toOwn = (all) => all) => ({
      home: { document, rows: rows && toOwn(rows) },
      copies: copies.map(({ region, documents, rows: all }) => ({
        region,
        document: documents.get(key),
        rows: all && toOwn(all),
      })),
    });
  }

  /** A region's documents that neither the home region nor Core has; the others are compared together with those. */
  async function compareRegionDocuments(
    environment: CoreEnvironment,
    documents: readonly ListedDocument[],
    region: string,
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const found = await readDocuments(
      home,
      documents.map(({ key }) => key),
      signal,
    );
    const absent = documents.filter(({ key }) => !found.has(key));
    const placed = absent.filter(({ key, identifier }) => key === compositeKey(environment.apiKey, identifier));
    const identifiers = placed.map(({ identifier }) => identifier).filter((identifier) => !identifier.includes('\0'));
    const present = await core.identities.present(environment.id, identifiers, signal);
    const left = absent.filter((document) => !(placed.includes(document) && present.has(document.identifier)));
    return recheck(
      'regionDocument',
      environment,
      left.map((document) => ({ ...document, region })),
      signal,
    );
  }

  /** A region's rows that the home region does not have. */
  async function compareRegionRows(
    environment: CoreEnvironment,
    rows: readonly Item[],
    region: string,
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const found = await readRows(home, rows.map(keyOf), signal);
    const absent = rows.filter((row) => !found.has(rowName(keyOf(row))));
    const places = absent.map((row) => {
      return { identifier: row['identifier']?.S ?? '', key: documentKeyOf(row), row: keyOf(row), region };
    });
    return recheck('regionRow', environment, places, signal);
  }

  /** Compares again what regions were found to have with what they and the home region have now. */
  async function recheck(
    kind: RegionKind,
    environment: CoreEnvironment,
    places: readonly ComparisonKey[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const comparisons: Comparison[] = [];
    for (const [region, some] of Map.groupBy(places, (place) => place.region ?? '')) {
      const edge = byName.get(region);
      // Its region is no longer compared since a previous pod recorded it.
      if (edge === undefined) continue;
      const read = kind === 'regionRow' ? readPlacesRows : readPlacesDocuments;
      const homes = await read(home, some, signal);
      const copies = await read(edge, some, signal);
      some.forEach((place, index) => {
        const pair = pairOf(environment, { home: homes[index]!, copies: [{ region, ...copies[index]! }] });
        comparisons.push({ kind, environment, ...place, verdict: judgeRegions(pair), pair });
      });
    }
    return comparisons;
  }

  function pairOf({ id }: CoreEnvironment, pair: RegionsPair): JudgedPair {
    return { environmentId: id, core: undefined, edge: undefined, rows: undefined, onConflict, regions: pair };
  }

  return {
    readCopies,
    compareRegionDocuments,
    compareRegionRows,
    recheck,
  };
}

type Read = RegionsPair['home'];

async function readPlacesDocuments(
  edge: EdgeStore,
  places: readonly ComparisonKey[],
  signal: AbortSignal,
): Promise<Read[]> {
  const found = await readDocuments(
    edge,
    places.map(({ key }) => key),
    signal,
  );
  return places.map(({ key }) => ({ document: found.get(key), rows: undefined }));
}

async function readPlacesRows(edge: EdgeStore, places: readonly ComparisonKey[], signal: AbortSignal): Promise<Read[]> {
  const keys = places.flatMap(({ row }) => row ?? []);
  const found = await readRows(edge, keys, signal);
  return places.map(({ row }) => {
    const name = row && rowName(row);
    const item = name === undefined ? undefined : found.get(name);
    return { document: undefined, rows: new Map(name !== undefined && item !== undefined ? [[name, item]] : []) };
  });
}
