import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { ConvergeOutcome } from './converge.ts';
import type { Item, SkippedIdentity } from './edge/document/document.ts';
import { sameValue } from './edge/document/reader.ts';
import { itemBytes, MAX_ITEM_BYTES } from './edge/document/size.ts';
import { fitTouched } from './edge/fit.ts';
import {
  EVERYTHING,
  findMissingTraits,
  joinTouched,
  leaveOut,
  mergeTouched,
  NOTHING_TOUCHED,
  type Pending,
  type Touched,
} from './edge/merge.ts';
import { ownershipOf } from './edge/ownership.ts';
import { replicationAttributes } from './edge/replication-attributes.ts';
import type { EdgeCallOptions, EdgeStore, WriteResult } from './edge/table/table.ts';
import type { DocumentWrite } from './edge/table/writes.ts';
import type { SkippedWithPart } from './place-reading.ts';
import { planRows } from './row-plan.ts';

/** At most one write of a document, and the outcome that it stands for. */
export interface Step {
  outcome: ConvergeOutcome;
  write?: Exclude<DocumentWrite, { kind: 'check' | 'gone' }>;
  /** The document as it will be; undefined: there will be none. */
  after: Item | undefined;
  /** Keys that keep their old state, because the document would be too large or cannot hold them. */
  pending?: Pending;
  /** Where everything was touched, the keys that this stands for. */
  touched?: Touched;
  /** Overrides of the document that the copy inserts, whose rows an Edge client's document may have left behind. */
  inserted?: ReadonlySet<string>;
}

/** Makes what was touched agree with Core's document: inserts an absent document, replaces an earlier identity's. */
export function update(edge: Item | undefined, core: Item, touched: Touched): Step {
  if (edge === undefined) {
    return { outcome: 'inserted', write: { kind: 'put', item: core, expected: undefined }, after: core };
  }
  if (isOther(edge, core['django_id']?.N)) return replace(edge, core);
  const all = touched.moved ? withMoved(edge, core, touched) : touched;
  const set = mergeTouched(edge, core, all);
  if (Object.keys(set).length === 0) return { outcome: 'unchanged', after: edge };
  if (itemBytes({ ...edge, ...set }) <= MAX_ITEM_BYTES) return change(edge, set);
  const { fitting, left } = fitTouched(edge, core, all);
  const part = mergeTouched(edge, core, fitting);
  const step = Object.keys(part).length === 0 ? { after: edge } : change(edge, part);
  return { ...step, outcome: 'unstorable', pending: left };
}

/**
 * Core's rows cannot be stored as a whole. What was touched is made to agree as far as a document can hold it;
 * everything else stays as it is. Nothing is inserted: an incomplete document would be mistaken for a complete one.
 */
export function updatePart(edge: Item | undefined, skipped: SkippedWithPart, touched: Touched): Step {
  const { part, identityId } = skipped;
  const isOwn = edge !== undefined && !isOther(edge, String(identityId));
  if (!isOwn || part === undefined) return planUnstorable(edge, skipped);
  const { pending, ...step } = update(edge, part.item, leaveOut(touched, part.left, edge, part.item));
  return { ...step, outcome: 'unstorable', pending: joinTouched([part.left, pending ?? NOTHING_TOUCHED]) };
}

/** Sets attributes of a document that is still as it was read. */
function change(edge: Item, set: Item): Step {
  // The document's owner, its identity and the whole of each list that is set must be as they were read.
  const lists = Object.fromEntries(Object.keys(set).map((name) => [name, edge[name]]));
  const expected = { ...ownershipOf(edge), django_id: edge['django_id'], ...lists };
  const key = edge['composite_key']?.S ?? '';
  return { outcome: 'updated', write: { kind: 'update', key, set, expected }, after: { ...edge, ...set } };
}

/** Core's traits came with the identity, and are not edited one by one. Edge's own are newer. */
function withMoved(edge: Item, core: Item, touched: Touched): Touched {
  return isEdgeBorn(edge) ? joinTouched([touched, findMissingTraits(edge, core)]) : touched;
}

/** Replaces the document of an identity that Core has deleted by Core's; links by `identity_uuid` stay valid. */
function replace(edge: Item, core: Item): Step {
  const uuid = edge['identity_uuid'];
  const item = { ...replicationAttributes(edge), ...core, ...(uuid?.S && { identity_uuid: uuid }) };
  return { outcome: 'replaced', write: { kind: 'put', item, expected: edge }, after: item };
}

/** Core does not have the identity: what came from Core is removed, what was created on Edge stays. */
export function remove(edge: Item | undefined): Step {
  if (edge === undefined) return { outcome: 'absent', after: undefined };
  if (isEdgeBorn(edge)) return { outcome: 'keptEdgeBorn', after: edge };
  return { outcome: 'deleted', write: { kind: 'delete', expected: edge }, after: undefined };
}

/** Core's rows cannot be stored. Edge's document stays, unless its identity has been deleted in Core. */
export function planUnstorable(edge: Item | undefined, { identityId }: SkippedIdentity): Step {
  const pending = EVERYTHING;
  if (edge === undefined || !isOther(edge, String(identityId))) return { outcome: 'unstorable', after: edge, pending };
  return { outcome: 'unstorable', write: { kind: 'delete', expected: edge }, after: undefined, pending };
}

/** Created on Edge: Core had no identity with that key then. */
export function isEdgeBorn(edge: Item): boolean {
  return edge['django_id']?.N === undefined;
}

/** The document is of an identity that Core had before, under the same identifier. */
function isOther(edge: Item, djangoId: string | undefined): boolean {
  const found = edge['django_id'];
  return found?.N !== undefined && !sameValue(found, { N: djangoId ?? '' });
}

export interface StepOptions extends EdgeCallOptions {
  environmentId: number;
  /** Also add override rows that are missing although the document has not changed. */
  syncRows: boolean;
  /** Overrides whose rows are checked although the document does not have them. */
  touched?: Touched | undefined;
  clock: Clock;
}

/**
 * Carries out the step: the document, and with it the rows of `environments_v2` that repeat its overrides, in one
 * transaction where rows change. `none`: there was nothing to write.
 */
export async function executeStep(
  edge: EdgeStore,
  found: Item | undefined,
  { write, after, touched, inserted }: Step,
  { environmentId, syncRows, touched: asked, clock, ...options }: StepOptions,
): Promise<WriteResult | 'none'> {
  if (edge.commit !== undefined) {
    const place = { environmentId, syncRows, touched: touched ?? asked, inserted, writtenTime: clock.now() };
    const { change, beside, traced } = await planRows(edge, found, after, place, options);
    if (traced.length > 0) {
      const result = await edge.commit(checkUnchanged(found), { put: traced, remove: [] }, options);
      if (result !== 'written') return result;
    }
    const rows = { put: [...change.put, ...beside.put], remove: [...change.remove, ...beside.remove] };
    if (rows.put.length + rows.remove.length > 0) {
      const isBeside = beside.put.length + beside.remove.length > 0;
      const document = isBeside ? dependOnOverrides(write, found) : write;
      return edge.commit(document ?? checkUnchanged(after), rows, options);
    }
  }
  switch (write?.kind) {
    case 'put':
      return edge.identities.putIfUnchanged(write.item, write.expected, options);
    case 'update':
      return edge.identities.updateIfUnchanged(write.key, { set: write.set }, write.expected, options);
    case 'delete':
      return edge.identities.deleteIfUnchanged(write.expected, options);
    default:
      return 'none';
  }
}

/** Rows of overrides that the write leaves alone are right only beside the overrides that were read. */
function dependOnOverrides(write: Step['write'], found: Item | undefined): Step['write'] {
  if (write?.kind !== 'update') return write;
  const { identity_features, identity_uuid } = found ?? {};
  return { ...write, expected: { ...write.expected, identity_features, identity_uuid } };
}

/** Adds only rows to a document that is still as it was read. */
export function checkUnchanged(document: Item | undefined): DocumentWrite {
  const { composite_key, identity_features, identity_uuid } = document ?? {};
  const expected = { ...ownershipOf(document ?? {}), identity_features, identity_uuid };
  return { kind: 'check', key: composite_key?.S ?? '', expected };
}
