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
import { keyOf, type OverrideRowKey, rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import { type JudgedPair, judge, wantedRows } from '@edge-migration/identity/edge/verdict.ts';
import type { Compared } from './comparer.ts';
import type { Comparison } from './comparison.ts';
import { type Rows, readDocuments, readRows } from './store-reads.ts';

/** Of whom to judge. */
export interface Request {
  readonly identifier: string;
  /** As Core has just been read. */
  readonly identity: CoreIdentity | undefined;
}

/** Reads Edge's side of each, and that of other regions, and judges the pairs. */
export async function judgeIdentities(
  { stores, onConflict, regionLook }: Compared,
  environment: CoreEnvironment,
  requests: readonly Request[],
  signal: AbortSignal,
): Promise<Comparison[]> {
  const { edge } = stores;
  const keys = requests.map(({ identifier }) => compositeKey(environment.apiKey, identifier));
  const storable = keys.filter((key, index) => canBeStored(requests[index]!.identifier, key));
  const documents = await readDocuments(edge, storable, signal);
  await confirmAbsence(stores, environment, requests, (index) => documents.get(keys[index]!), signal);
  const rowKeys = edge.overrideRows && listRowKeys(environment, documents);
  const rows = rowKeys && (await readRows(edge, rowKeys, signal));
  const copies = await regionLook.readCopies(storable, rowKeys, signal);
  return requests.map(({ identifier, identity }, index) => {
    const key = keys[index]!;
    const found = documents.get(key);
    const isTaken = found !== undefined && !isDocumentOf(found, { apiKey: environment.apiKey, identifier });
    const item = isTaken ? undefined : found;
    // Encoded only now: what waits for an answer would outlive many collections of garbage.
    const encoded = identity && encodeIdentity(identity, environment);
    const core = isTaken ? identity && keyTaken(environment.id, identity.id) : withPart(encoded, environment, identity);
    const toOwn = (all: Rows) => pickRows(environment, item, all);
    const pair = {
      ...{ environmentId: environment.id, core, edge: item, rows: rows && toOwn(rows), onConflict },
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
  { core }: Compared['stores'],
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

/** Keys of the rows that the documents ask for. */
function listRowKeys({ id }: CoreEnvironment, documents: ReadonlyMap<string, Item>): OverrideRowKey[] {
  return [...documents.values().flatMap((document) => wantedRows(id, document).map(keyOf))];
}

const NO_ROWS: Rows = new Map();

/** Those of one document. */
function pickRows({ id }: CoreEnvironment, item: Item | undefined, rows: Rows): Rows {
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

/** Postgres holds no other text, and refuses to look for it. */
export const isText = (identifier: string): boolean => !identifier.includes('\0');
