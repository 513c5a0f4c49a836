/** What converging does to a document and its rows in one region, in one transaction (protocol-model-regions-rows.ts). */

import {
  type Change,
  type Core,
  type Document,
  type Items,
  same,
  type Uuid,
  type What,
} from './protocol-model-regions-rows-state.ts';

/** The rules about rows that may be left out, to show that they are needed. */
export interface RowRules {
  /** Rows of unchanged overrides are compared with the document, and not only checked for existence. */
  readonly comparesRows: boolean;
  /** Rows of touched overrides that the document does not have are removed. */
  readonly removesLeft: boolean;
  /** So are those of the document that the product inserts, where an Edge client's has taken its place. */
  readonly removesInserted: boolean;
  /** The checks of what was copied do so, too. */
  readonly copyRemoves: boolean;
  /** The checks of what was copied put rows that are missing, too. */
  readonly copyRestores: boolean;
  /** A row that is not there is put before it is removed with its document: otherwise one on its way would stay. */
  readonly leavesTrace: boolean;
}

/** The writes, in this order; each is one transaction. */
export function converge(items: Items, core: Core | null, what: What, rules: RowRules): Change[] {
  const before = items.document.value;
  const after = findWanted(before, core, what);
  const rows = new Map<Uuid, number>();
  const traced = new Map<Uuid, number>();
  const old = before?.override ?? 0;
  const isKept = before?.uuid === after?.uuid && old === (after?.override ?? 0);
  if (before !== null && old !== 0 && (after === null || after.override === 0)) {
    rows.set(before.uuid, 0);
    if (items[before.uuid].value === 0 && rules.leavesTrace) traced.set(before.uuid, old);
  }
  if (after !== null && after.override !== 0) {
    const found = items[after.uuid].value;
    const isWrong = found === 0 || (rules.comparesRows && found !== after.override);
    if (!isKept || (isWrong && (what !== 'copy' || rules.copyRestores))) rows.set(after.uuid, after.override);
  }
  for (const uuid of findLeft(items, [before, after], core === null && what === 'all', what, rules)) rows.set(uuid, 0);
  const effective = [...rows].filter(([uuid, row]) => row !== 0 || items[uuid].value !== 0 || traced.has(uuid));
  const document = same(before, after) ? {} : { document: after };
  const change = { ...document, ...Object.fromEntries(effective) };
  return [
    ...(traced.size > 0 ? [Object.fromEntries(traced)] : []),
    ...(Object.keys(change).length > 0 ? [change] : []),
  ];
}

/** The document required by rules 1 and 2. */
function findWanted(document: Document | null, core: Core | null, what: What): Document | null {
  // Every deletion in Core has an event.
  if (core === null) return what === 'copy' || document?.djangoId === null ? document : null;
  if (document === null) return { djangoId: core.id, uuid: 'ours', override: core.override };
  if (document.djangoId !== null && document.djangoId !== core.id) {
    return { djangoId: core.id, uuid: document.uuid, override: core.override };
  }
  return what === 'copy' ? document : { ...document, override: core.override };
}

/**
 * Rows that are there although no override of the document requires them.
 *
 * @param isUnknown Core has no identity, so nothing tells which overrides "everything" was
 */
function findLeft(
  items: Items,
  [before, after]: readonly [Document | null, Document | null],
  isUnknown: boolean,
  what: What,
  { removesLeft, removesInserted, copyRemoves }: RowRules,
): Uuid[] {
  const document = before ?? after;
  if (document === null || isUnknown || (what === 'copy' && !copyRemoves)) return [];
  const isWithout = [before, after].every((each) => each === null || each.override === 0);
  const uuids: Uuid[] = [
    // The copy touches nothing: an Edge client's row may have arrived before its document.
    ...(removesLeft && isWithout && what !== 'copy' ? [document.uuid] : []),
    ...(removesInserted && document.uuid === 'theirs' ? (['ours'] as const) : []),
  ];
  return uuids.filter((uuid) => items[uuid].value !== 0);
}

/** Whether a region agrees with the one that was handled on what was touched. */
export function agrees(here: Items, there: Items, what: What, areRowsCompared: boolean): boolean {
  const [own, other] = [here.document.value, there.document.value];
  if (own === null) return other === null || other.djangoId === null;
  if (other === null || own.djangoId !== other.djangoId) return false;
  if (what !== 'copy' && own.override !== other.override) return false;
  return !areRowsCompared || [own.uuid, 'ours' as const].every((uuid) => here[uuid].value === there[uuid].value);
}
