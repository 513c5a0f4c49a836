import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import {
  canBeStored,
  compositeKey,
  type EncodedDocument,
  encodeIdentity,
  type Item,
  type SkippedIdentity,
} from '@edge-migration/identity/edge/document/document.ts';
import { encodePart } from '@edge-migration/identity/edge/document/part.ts';
import { isDocumentOf, keyTaken } from '@edge-migration/identity/edge/ownership.ts';
import type { ListedDocument } from '@edge-migration/identity/edge/table/listing.ts';
import { keyOf, type OverrideRowKey, rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import {
  hasRow,
  type JudgedPair,
  judge,
  judgeMisplaced,
  type Verdict,
  wantedRows,
} from '@edge-migration/identity/edge/verdict.ts';
import { type Comparison, documentKeyOf, isRegionKind, type Place } from './comparison.ts';
import { createRegionLook, type RegionTables } from './region-comparer.ts';

const NO_VERDICT: Verdict = { identity: undefined, document: undefined, finding: undefined };

/** Of the documents that are looked at together. Parsed they take several times as much, and four parts are under way. */
const MOST_BYTES = 2 * 2 ** 20;

/**
 * Looks at both stores; every read of Edge is consistent, and Core is always read first.
 *
 * Each function throws ResponseTooLargeError or ResultTooLargeError when it is asked for more than memory should hold.
 */
export function createComparer(
  stores: Stores,
  onConflict: 'KeepEdge' | 'CoreWins',
  regions: readonly RegionTables[] = [],
) {
  const { core, edge } = stores;
  const regionLook = createRegionLook(stores, onConflict, regions);

  /** Core's identities and their documents. */
  async function compareIdentities(
    environment: CoreEnvironment,
    identities: readonly CoreIdentity[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    return judgeAll(
      environment,
      identities.map((identity) => ({ identifier: identity.identifier, identity })),
      signal,
    );
  }

  /** Documents that Core may not have. Those that it has are left out: they are looked at with its identities. */
  async function compareDocuments(
    environment: CoreEnvironment,
    documents: readonly ListedDocument[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const isPlaced = ({ key, identifier }: ListedDocument) => key === compositeKey(environment.apiKey, identifier);
    const identifiers = documents.filter((document) => isPlaced(document)).map(({ identifier }) => identifier);
    const present = await core.identities.present(environment.id, identifiers.filter(isText), signal);
    const foreign = documents.filter((document) => isPlaced(document) && !present.has(document.identifier));
    const misplaced = documents.filter((document) => !isPlaced(document));
    return [
      ...(await judgeAll(
        environment,
        foreign.map(({ identifier }) => ({ identifier, identity: undefined })),
        signal,
      )),
      ...(await compareMisplaced(environment, misplaced, signal)),
    ];
  }

  async function compareMisplaced(
    environment: CoreEnvironment,
    documents: readonly ListedDocument[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const keys = documents.map(({ key }) => key);
    const found = await readDocuments(keys, signal);
    const copies = await regionLook.readCopies(keys, undefined, signal);
    return documents.map(({ key, identifier }) => {
      const item = found.get(key);
      const own = item !== undefined && isMisplaced(environment, item) ? item : undefined;
      const pair = { ...pairOf(environment, undefined, own, undefined), regions: copies?.(key, item) };
      return { kind: 'misplaced', environment, identifier, key, verdict: judgeMisplaced(pair), pair };
    });
  }

  /** Rows whose document has no such override. */
  async function compareRows(
    environment: CoreEnvironment,
    rows: readonly Item[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const keys = rows.map(documentKeyOf);
    const found = await readDocuments(
      keys.filter((key) => key !== ''),
      signal,
    );
    return rows.flatMap((row, index) => {
      const key = keys[index]!;
      const item = ownedBy(row, found.get(key));
      if (hasRow(environment.id, item, row)) return [];
      const rowKey = keyOf(row);
      const pair = pairOf(environment, undefined, item, new Map([[rowName(rowKey), row]]));
      const verdict: Verdict = { ...NO_VERDICT, finding: { kinds: ['rows'] } };
      const identifier = row['identifier']?.S ?? '';
      return { kind: 'row' as const, environment, identifier, key, row: rowKey, verdict, pair };
    });
  }

  /** What was found before, each as it is now; undefined for a row that is gone or has its override by now. */
  async function recheck(
    kind: Comparison['kind'],
    environment: CoreEnvironment,
    places: readonly Place[],
    signal: AbortSignal,
  ): Promise<(Comparison | undefined)[]> {
    if (isRegionKind(kind)) return regionLook.lookAgain(kind, environment, places, signal);
    if (kind === 'misplaced') return compareMisplaced(environment, places, signal);
    if (kind === 'row') {
      const found =
        (await edge.overrideRows?.getMany(
          places.flatMap(({ row }) => row ?? []),
          { signal },
        )) ?? new Map();
      const looked = await compareRows(environment, [...found.values()], signal);
      return places.map(({ row }) => looked.find((each) => row && each.row && rowName(each.row) === rowName(row)));
    }
    const identities = await core.identities.at(
      // Postgres holds no such text, and refuses to look for it.
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
    return judgeAll(environment, requests, signal);
  }

  interface Request {
    readonly identifier: string;
    /** As Core has just been read. */
    readonly identity: CoreIdentity | undefined;
  }

  async function judgeAll(
    environment: CoreEnvironment,
    requests: readonly Request[],
    signal: AbortSignal,
  ): Promise<Comparison[]> {
    const keys = requests.map(({ identifier }) => compositeKey(environment.apiKey, identifier));
    const storable = keys.filter((key, index) => canBeStored(requests[index]!.identifier, key));
    const documents = await readDocuments(storable, signal);
    await confirmAbsence(environment, requests, (index) => documents.get(keys[index]!), signal);
    const rows = await readRows(environment, documents, signal);
    const rowKeys = rows && listRowKeys(environment, documents);
    const copies = await regionLook.readCopies(storable, rowKeys, signal);
    return requests.map(({ identifier, identity }, index) => {
      const key = keys[index]!;
      const found = documents.get(key);
      const isTaken = found !== undefined && !isDocumentOf(found, { apiKey: environment.apiKey, identifier });
      const item = isTaken ? undefined : found;
      // Encoded only now: what waits for an answer would outlive many collections of garbage.
      const encoded = identity && encodeIdentity(identity, environment);
      const core = isTaken
        ? identity && keyTaken(environment.id, identity.id)
        : withPart(encoded, environment, identity);
      const toOwn = (all: ReadonlyMap<string, Item>) => pickRows(environment, item, all);
      const pair = {
        ...pairOf(environment, core, item, rows && toOwn(rows)),
        regions: copies?.(key, found, rows, toOwn),
      };
      return { kind: 'identity', environment, identifier, key, verdict: judge(pair), pair };
    });
  }

  /**
   * A good document must not be called extra because Core's index misses its identity.
   *
   * @throws CoreUnsupportedError when it does
   */
  async function confirmAbsence(
    environment: CoreEnvironment,
    requests: readonly Request[],
    documentOf: (index: number) => Item | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const suspects = requests.flatMap(({ identifier, identity }, index) => {
      const id = identity === undefined ? Number(documentOf(index)?.['django_id']?.N) : Number.NaN;
      return Number.isSafeInteger(id) && isText(identifier) ? [{ id, identifier }] : [];
    });
    // One that has come back meanwhile is doubtful, and looked at once more.
    await core.identities.presentById(environment.id, suspects, signal);
  }

  function withPart(
    encoded: EncodedDocument | SkippedIdentity | undefined,
    environment: CoreEnvironment,
    identity: CoreIdentity | undefined,
  ): JudgedPair['core'] {
    if (encoded?.kind !== 'skipped' || identity === undefined) return encoded;
    return { ...encoded, part: encodePart(identity, environment) };
  }

  function readDocuments(keys: readonly string[], signal: AbortSignal): Promise<Map<string, Item>> {
    return keys.length === 0
      ? Promise.resolve(new Map())
      : edge.identities.getMany(keys, { signal, mostBytes: MOST_BYTES });
  }

  async function readRows(
    environment: CoreEnvironment,
    documents: ReadonlyMap<string, Item>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Item> | undefined> {
    if (edge.overrideRows === undefined) return undefined;
    const keys = listRowKeys(environment, documents);
    return keys.length === 0 ? NO_ROWS : edge.overrideRows.getMany(keys, { signal });
  }

  function pairOf(
    environment: CoreEnvironment,
    core: JudgedPair['core'],
    item: Item | undefined,
    rows: ReadonlyMap<string, Item> | undefined,
  ): JudgedPair {
    return { environmentId: environment.id, core, edge: item, rows, onConflict };
  }

  const { lookAtRegionDocuments, lookAtRegionRows } = regionLook;
  return {
    lookAtIdentities: compareIdentities,
    lookAtDocuments: compareDocuments,
    lookAtRows: compareRows,
    lookAtRegionDocuments,
    lookAtRegionRows,
    lookAgain: recheck,
  };
}

export type Comparer = ReturnType<typeof createComparer>;

/** Keys of the rows that the documents ask for. */
function listRowKeys({ id }: CoreEnvironment, documents: ReadonlyMap<string, Item>): OverrideRowKey[] {
  return [...documents.values().flatMap((document) => wantedRows(id, document).map(keyOf))];
}

const NO_ROWS: ReadonlyMap<string, Item> = new Map();

/** Those of one document. */
function pickRows(
  { id }: CoreEnvironment,
  item: Item | undefined,
  rows: ReadonlyMap<string, Item>,
): ReadonlyMap<string, Item> {
  const wanted = item === undefined ? [] : wantedRows(id, item);
  if (wanted.length === 0) return NO_ROWS;
  return new Map(
    wanted.flatMap((row) => {
      const name = rowName(keyOf(row));
      const found = rows.get(name);
      return found === undefined ? [] : [[name, found] as const];
    }),
  );
}

const isText = (identifier: string) => !identifier.includes('\0');

/**
 * Whether the environment's document has a key that does not follow from its attributes. The index is a little older
 * than the table: by now another document may have the key.
 */
function isMisplaced({ apiKey }: CoreEnvironment, item: Item): boolean {
  const { composite_key, environment_api_key, identifier } = item;
  return environment_api_key?.S === apiKey && composite_key?.S !== compositeKey(apiKey, identifier?.S ?? '');
}

/** The document that was found under a row's key, unless it is of another identity than the row names. */
function ownedBy(row: Item, item: Item | undefined): Item | undefined {
  const owner = { apiKey: row['environment_api_key']?.S ?? '', identifier: row['identifier']?.S ?? '' };
  return item !== undefined && isDocumentOf(item, owner) ? item : undefined;
}
