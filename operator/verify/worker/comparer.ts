import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import { compositeKey, type Item } from '@edge-migration/identity/edge/document/document.ts';
import { isDocumentOf } from '@edge-migration/identity/edge/ownership.ts';
import type { ListedDocument } from '@edge-migration/identity/edge/table/listing.ts';
import { keyOf, rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import { hasRow, judgeMisplaced, type Verdict } from '@edge-migration/identity/edge/verdict.ts';
import { type Comparison, type ComparisonKey, documentKeyOf, isRegionKind } from './comparison.ts';
import { isText, judgeIdentities } from './judge-identities.ts';
import { createRegionComparer, type RegionTables } from './region-comparer.ts';
import { readDocuments, readRows } from './store-reads.ts';

const NO_VERDICT: Verdict = { identity: undefined, document: undefined, finding: undefined };

/** The stores that are compared, and the rules. */
export interface Compared {
  readonly stores: Stores;
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  readonly regionComparer: ReturnType<typeof createRegionComparer>;
}

/**
 * Compares both stores; every read of Edge is consistent, and Core is always read first.
 *
 * Each function throws ResponseTooLargeError or ResultTooLargeError if a request exceeds the memory limits.
 */
export function createComparer(
  stores: Stores,
  onConflict: 'KeepEdge' | 'CoreWins',
  regions: readonly RegionTables[] = [],
) {
  const regionComparer = createRegionComparer(stores, onConflict, regions);
  const compared: Compared = { stores, onConflict, regionComparer };
  return {
    /** Core's identities and their documents. */
    compareIdentities: (environment: CoreEnvironment, identities: readonly CoreIdentity[], signal: AbortSignal) =>
      judgeIdentities(
        compared,
        environment,
        identities.map((identity) => ({ identifier: identity.identifier, identity })),
        signal,
      ),
    /** Documents that Core may not have. Those that it has are omitted: they are compared with its identities. */
    compareDocuments: (environment: CoreEnvironment, documents: readonly ListedDocument[], signal: AbortSignal) =>
      compareDocuments(compared, environment, documents, signal),
    /** Rows whose document does not have the override. */
    compareRows: (environment: CoreEnvironment, rows: readonly Item[], signal: AbortSignal) =>
      compareRows(compared, environment, rows, signal),
    compareRegionDocuments: regionComparer.compareRegionDocuments,
    compareRegionRows: regionComparer.compareRegionRows,
    /** Compares earlier findings again; undefined for a row that is gone or whose document has its override now. */
    recheck: (
      kind: Comparison['kind'],
      environment: CoreEnvironment,
      places: readonly ComparisonKey[],
      signal: AbortSignal,
    ): Promise<(Comparison | undefined)[]> => recheck(compared, kind, environment, places, signal),
  };
}

export type Comparer = ReturnType<typeof createComparer>;

async function compareDocuments(
  compared: Compared,
  environment: CoreEnvironment,
  documents: readonly ListedDocument[],
  signal: AbortSignal,
): Promise<Comparison[]> {
  const isPlaced = ({ key, identifier }: ListedDocument) => key === compositeKey(environment.apiKey, identifier);
  const identifiers = documents.filter((document) => isPlaced(document)).map(({ identifier }) => identifier);
  const { core } = compared.stores;
  const present = await core.identities.present(environment.id, identifiers.filter(isText), signal);
  const foreign = documents.filter((document) => isPlaced(document) && !present.has(document.identifier));
  const misplaced = documents.filter((document) => !isPlaced(document));
  const requests = foreign.map(({ identifier }) => ({ identifier, identity: undefined }));
  return [
    ...(await judgeIdentities(compared, environment, requests, signal)),
    ...(await compareMisplaced(compared, environment, misplaced, signal)),
  ];
}

async function compareMisplaced(
  { stores, onConflict, regionComparer }: Compared,
  environment: CoreEnvironment,
  documents: readonly ListedDocument[],
  signal: AbortSignal,
): Promise<Comparison[]> {
  const keys = documents.map(({ key }) => key);
  const found = await readDocuments(stores.edge, keys, signal);
  const copies = await regionComparer.readCopies(keys, undefined, signal);
  return documents.map(({ key, identifier }) => {
    const item = found.get(key);
    const own = item !== undefined && isMisplaced(environment, item) ? item : undefined;
    const pair = {
      ...{ environmentId: environment.id, core: undefined, edge: own, rows: undefined, onConflict },
      regions: copies?.(key, item),
    };
    return { kind: 'misplaced', environment, identifier, key, verdict: judgeMisplaced(pair), pair };
  });
}

async function compareRows(
  { stores, onConflict }: Compared,
  environment: CoreEnvironment,
  rows: readonly Item[],
  signal: AbortSignal,
): Promise<Comparison[]> {
  const keys = rows.map(documentKeyOf);
  const found = await readDocuments(
    stores.edge,
    keys.filter((key) => key !== ''),
    signal,
  );
  return rows.flatMap((row, index) => {
    const key = keys[index]!;
    const item = ownedBy(row, found.get(key));
    if (hasRow(environment.id, item, row)) return [];
    const rowKey = keyOf(row);
    const own = new Map([[rowName(rowKey), row]]);
    const pair = { environmentId: environment.id, core: undefined, edge: item, rows: own, onConflict };
    const verdict: Verdict = { ...NO_VERDICT, finding: { kinds: ['rows'] } };
    const identifier = row['identifier']?.S ?? '';
    return { kind: 'row' as const, environment, identifier, key, row: rowKey, verdict, pair };
  });
}

async function recheck(
  compared: Compared,
  kind: Comparison['kind'],
  environment: CoreEnvironment,
  places: readonly ComparisonKey[],
  signal: AbortSignal,
): Promise<(Comparison | undefined)[]> {
  if (isRegionKind(kind)) return compared.regionComparer.recheck(kind, environment, places, signal);
  if (kind === 'misplaced') return compareMisplaced(compared, environment, places, signal);
  if (kind === 'row') return recheckRows(compared, environment, places, signal);
  const { core } = compared.stores;
  const identities = await core.identities.at(
    places.map(({ identifier }) => ({
      environmentId: environment.id,
      identifier: isText(identifier) ? identifier : '',
    })),
    signal,
  );
  const requests = places.map(({ identifier }, index) => ({
    identifier,
    identity: isText(identifier) ? identities[index] : undefined,
  }));
  return judgeIdentities(compared, environment, requests, signal);
}

async function recheckRows(
  compared: Compared,
  environment: CoreEnvironment,
  places: readonly ComparisonKey[],
  signal: AbortSignal,
): Promise<(Comparison | undefined)[]> {
  const rowKeys = places.flatMap(({ row }) => row ?? []);
  const found = await readRows(compared.stores.edge, rowKeys, signal);
  const comparisons = await compareRows(compared, environment, [...found.values()], signal);
  return places.map(({ row }) => comparisons.find((each) => row && each.row && rowName(each.row) === rowName(row)));
}

/**
 * Whether the environment's document has a key that does not match its attributes. The index lags slightly behind the
 * table: another document may have the key by now.
 */
function isMisplaced({ apiKey }: CoreEnvironment, item: Item): boolean {
  const { composite_key, environment_api_key, identifier } = item;
  return environment_api_key?.S === apiKey && composite_key?.S !== compositeKey(apiKey, identifier?.S ?? '');
}

/** The document under a row's key, unless it belongs to another identity than the row. */
function ownedBy(row: Item, item: Item | undefined): Item | undefined {
  const owner = { apiKey: row['environment_api_key']?.S ?? '', identifier: row['identifier']?.S ?? '' };
  return item !== undefined && isDocumentOf(item, owner) ? item : undefined;
}
