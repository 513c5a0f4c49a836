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

/** An identity to judge. */
export interface IdentityToJudge {
  readonly identifier: string;
  /** As just read from Core. */
  readonly identity: CoreIdentity | undefined;
}

/** Reads each one's data in Edge and in other regions, and judges the pairs. */
export async function judgeIdentities(
  { stores, onConflict, regionComparer }: Compared,
  environment: CoreEnvironment,
  requests: readonly IdentityToJudge[],
  signal: AbortSignal,
): Promise<Comparison[]> {
  const { edge } = stores;
  const keys = requests.map(({ identifier }) => compositeKey(environment.apiKey, identifier));
  const storable = keys.filter((key, index) => canBeStored(requests[index]!.identifier, key));
  const documents = await readDocuments(edge, storable, signal);
  await confirmAbsence(stores, environment, requests, (index) => documents.get(keys[index]!), signal);
  const rowKeys = edge.overrideRows && listRowKeys(environment, documents);
  const rows = rowKeys && (await readRows(edge, rowKeys, signal));
  const copies = await regionComparer.readCopies(storable, rowKeys, signal);
  return requests.map(({ identifier, identity }, index) => {
    const key = keys[index]!;
    const found = documents.get(key);
    const isTaken = found !== undefined && !isDocumentOf(found, { apiKey: environment.apiKey, identifier });
    const item = isTaken ? undefined : found;
    // Encoded only now: objects that wait for a response would survive many garbage collections.
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
 * A correct document must not be reported as extra because Core's index misses its identity.
 *
 * @throws CoreUnsupportedError if it does
 */
async function confirmAbsence(
  { core }: Compared['stores'],
  environment: CoreEnvironment,
  requests: readonly IdentityToJudge[],
  documentOf: (index: number) => Item | undefined,
  signal: AbortSignal,
): Promise<void> {
  const suspects = requests.flatMap(({ identifier, identity }, index) => {
    const id = identity === undefined ? Number(documentOf(index)?.['django_id']?.N) : Number.NaN;
    return Number.isSafeInteger(id) && isText(identifier) ? [{ id, identifier }] : [];
  });
  // One that has reappeared meanwhile is doubtful, and compared once more.
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

/** Keys of the rows that the documents require. */
function listRowKeys({ id }: CoreEnvironment, documents: ReadonlyMap<string, Item>): OverrideRowKey[] {
  return [...documents.values().flatMap((document) => wantedRows(id, document).map(keyOf))];
}

const NO_ROWS: Rows = new Map();

/** The row keys of one document. */
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

/** Postgres cannot store any other text, and rejects queries for it. */
export const isText = (identifier: string): boolean => !identifier.includes('\0');
