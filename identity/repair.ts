import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { converge, type Fence, type Stores, type Subject } from './converge.ts';
import { checkUnchanged, executeStep, update } from './convergence-step.ts';
import { type DocumentDifference, touchedBy } from './edge/compare.ts';
import { compositeKey, type EncodedDocument, encodeIdentity, type Item } from './edge/document/document.ts';
import { readDocument } from './edge/document/reader.ts';
import { version4 } from './edge/identity-uuid.ts';
import { mergeTouched, NOTHING_TOUCHED, type Touched } from './edge/merge.ts';
import { isDocumentOf } from './edge/ownership.ts';
import { replicationAttributes } from './edge/replication-attributes.ts';
import { keyOf } from './edge/table/override-rows.ts';
import { type Finding, wantedRows } from './edge/verdict.ts';

/** A row of `environments_v2` whose document lacks the override. */
export interface LeftRow {
  readonly row: Item;
  /** Key of the document that it names. */
  readonly key: string;
}

type Fenced = Fence & { readonly signal: AbortSignal };

/**
 * Makes Edge agree with Core on exactly the differences found, while the migration may still do so: by converging
 * (docs/design.md, "Convergence", rule 1), hence with Core's present rows, and never over concurrent changes by others.
 * Documents that Flagsmith's readers refuse, and attributes that no event ever touches, are written again before that.
 *
 * @throws as {@link converge}
 */
export async function repair(
  stores: Stores,
  subject: Subject,
  finding: Finding,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<void> {
  const { difference, rows } = finding;
  const options = { signal, ...fence };
  if (needsRewrite(finding)) await rewrite(stores, subject, difference, options);
  const touched = difference === undefined ? NOTHING_TOUCHED : touchedBy(difference);
  await converge(stores, subject, withRows(touched, rows?.missing ?? []), signal, fence);
  if (rows !== undefined && rows.changed.length > 0) await rewriteRows(stores, subject, rows.changed, options);
}

/**
 * Inserts what Edge lacks, and changes nothing that it has: the only permitted repair once the replay window has closed
 * and Edge is the authority.
 *
 * @throws as {@link converge}
 */
export async function insertMissing(
  stores: Stores,
  subject: Subject,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<void> {
  const core = await readCore(stores, subject, signal);
  if (core === undefined) return;
  const options = { environmentId: subject.environment.id, clock: stores.clock, syncRows: true, signal, ...fence };
  await executeStep(stores.edge, undefined, update(undefined, core.item, NOTHING_TOUCHED), options);
}

/** Removes a document that came from Core and that no look-up finds, if it is as it was read. */
export async function removeMisplaced(
  stores: Stores,
  edge: Item,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<void> {
  if (edge['django_id']?.N === undefined) return;
  await stores.edge.identities.deleteIfUnchanged(edge, { signal, ...fence });
}

/** Removes a row if its document is as it was read, without the override. */
export async function removeLeftRow(
  stores: Stores,
  { row, key }: LeftRow,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<void> {
  const { commit, identities } = stores.edge;
  const edge = await identities.get(key, { signal });
  const { environment_id, document_key } = row;
  const remove = [{ environment_id: environment_id!, document_key: document_key! }];
  const check = edge === undefined ? ({ kind: 'gone', key } as const) : checkUnchanged(edge);
  await commit?.(check, { put: [], remove }, { signal, ...fence });
}

function needsRewrite({ kinds, difference }: Finding): boolean {
  if (kinds.includes('extra')) return false;
  if (kinds.includes('malformed')) return true;
  const { attributes = [], foreign = [], traits, overrides } = difference ?? {};
  return attributes.length + foreign.length + (traits?.irregular ?? 0) + (overrides?.irregular ?? 0) > 0;
}

/** Stores the document as it should be over the one that was read, if it belongs to the same identity. */
async function rewrite(
  stores: Stores,
  subject: Subject,
  difference: DocumentDifference | undefined,
  fenced: Fenced,
): Promise<void> {
  const { environment } = subject;
  const { signal } = fenced;
  const edge = await readOwn(stores, subject, signal);
  const core = await readCore(stores, subject, signal);
  if (edge === undefined || core === undefined || isEdgesOwn(edge, core)) return;
  const after = rebuild(edge, core.item, difference);
  const options = { environmentId: environment.id, clock: stores.clock, syncRows: true, ...fenced };
  const write = { kind: 'put', item: after, expected: edge } as const;
  await executeStep(stores.edge, edge, { outcome: 'updated', write, after }, options);
}

/** Created on Edge, or of another identity: converging handles it. */
function isEdgesOwn(edge: Item, core: EncodedDocument): boolean {
  const found = edge['django_id'];
  const isNumber = found?.N !== undefined;
  return found === undefined || found.NULL !== undefined || (isNumber && found.N !== core.item['django_id']?.N);
}

/**
 * Core's attributes, Edge's own (alias, uuid if valid) and, list by list, Edge's sound elements with the differing ones
 * set to Core's; entirely Core's document where readers would still refuse it.
 */
function rebuild(edge: Item, core: Item, difference: DocumentDifference | undefined): Item {
  const { identity_uuid, dashboard_alias, system_traits } = edge;
  const own: Item = {
    ...replicationAttributes(edge),
    ...(dashboard_alias?.S ? { dashboard_alias } : {}),
    ...(system_traits?.M === undefined ? {} : { system_traits }),
  };
  const uuid = UUID.test(identity_uuid?.S ?? '') ? { S: version4(identity_uuid!.S!) } : core['identity_uuid']!;
  const sound: Item = {
    identity_traits: { L: soundElements(edge['identity_traits'], (element) => element.M?.['trait_key']?.S) },
    identity_features: {
      L: soundElements(edge['identity_features'], (element) => element.M?.['feature']?.M?.['id']?.N),
    },
  };
  const touched = difference === undefined ? NOTHING_TOUCHED : touchedBy(difference);
  const merged = { ...own, ...core, ...sound, ...mergeTouched(sound, core, touched), identity_uuid: uuid };
  return readDocument(merged).kind === 'readable' ? merged : { ...own, ...core, identity_uuid: uuid };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Elements with a key; of several with one key the last, as readers see it. */
function soundElements(
  list: AttributeValue | undefined,
  keyOf: (element: AttributeValue) => string | undefined,
): AttributeValue[] {
  const byKey = new Map<string, AttributeValue>();
  for (const element of list?.L ?? []) {
    const key = keyOf(element);
    if (key !== undefined) byKey.set(key, element);
  }
  return [...byKey.values()];
}

/** Overrides whose rows are missing: converging adds rows only where an override is touched. */
function withRows(touched: Touched, featureIds: readonly string[]): Touched {
  if (featureIds.length === 0 || touched.overrides === 'all') return touched;
  return { ...touched, overrides: new Set([...touched.overrides, ...featureIds]) };
}

/** Rows follow the document, regardless of Core's present state. */
async function rewriteRows(
  stores: Stores,
  subject: Subject,
  featureIds: readonly string[],
  fenced: Fenced,
): Promise<void> {
  const { edge, clock } = stores;
  const { environment } = subject;
  const document = await readOwn(stores, subject, fenced.signal);
  if (document === undefined || edge.commit === undefined) return;
  const names = new Set(featureIds.map((id) => `identity_override:${id}:${document['identity_uuid']?.S}`));
  const put = wantedRows(environment.id, document, clock.now()).filter((row) => names.has(keyOf(row).document_key));
  if (put.length > 0) await edge.commit(checkUnchanged(document), { put, remove: [] }, fenced);
}

/** The identity's document; undefined where there is none, or another identity's is in its place. */
async function readOwn(
  { edge }: Stores,
  { environment, identifier }: Subject,
  signal: AbortSignal,
): Promise<Item | undefined> {
  const { apiKey } = environment;
  const found = await edge.identities.get(compositeKey(apiKey, identifier), { signal });
  return found !== undefined && isDocumentOf(found, { apiKey, identifier }) ? found : undefined;
}

async function readCore(
  { core }: Stores,
  { environment, identifier }: Subject,
  signal: AbortSignal,
): Promise<EncodedDocument | undefined> {
  const identity = await core.identities.one({ environmentId: environment.id, identifier }, signal);
  const encoded = identity && encodeIdentity(identity, environment);
  return encoded?.kind === 'document' ? encoded : undefined;
}
