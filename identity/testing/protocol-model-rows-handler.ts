/** One process that handles one event (protocol-model-rows.ts). */

import type { Core, Document, Event, State } from './protocol-model-rows.ts';

/** The rules that may be left out, to show that they are needed. */
export interface RowHandlingRules {
  /** The document and its row are written together, both or neither. */
  readonly transactions: boolean;
  /** A row is put beside a document only if its overrides are as they were read. */
  readonly dependsOnOverrides: boolean;
  /** Without transactions: removed rows are deleted before the document is written. */
  readonly removesFirst: boolean;
  /** They are looked for once more after a document was deleted. */
  readonly removesAgain: boolean;
  /** Others are put after it. */
  readonly putsLast: boolean;
  /** The document is read once more after its rows; if it has changed, everything is repeated. */
  readonly looksAfter: boolean;
  /** Rows are compared with the document, and not only checked for existence. */
  readonly comparesRows: boolean;
  /** A row that was put, and whose override is gone by then, is removed at once. */
  readonly removesOwn: boolean;
  /** Rows of touched overrides that the document does not have are removed. */
  readonly removesLeft: boolean;
  /** Without transactions: of unchanged overrides, only the rows of touched ones are put. */
  readonly restoresTouched: boolean;
}

type Write =
  | { readonly kind: 'document'; readonly to: Document | null; readonly isBeside: boolean; readonly row?: number }
  | { readonly kind: 'put'; readonly row: number }
  | { readonly kind: 'delete' }
  /** Removes a row without a document. */
  | { readonly kind: 'sweep' }
  | { readonly kind: 'look'; readonly row: number }
  /** Nothing but the row changes: the document has to be as it was read. */
  | { readonly kind: 'check'; readonly row?: number };

export interface Handler {
  readonly event: Event;
  /** What it does next. */
  readonly at: 'document' | 'core' | 'row' | 'write' | 'confirm';
  readonly found?: Document | null;
  readonly core?: Core | null;
  readonly plan?: readonly Write[];
}

/** The state after the process's next step; `rest` is the state without it. */
export function step(rest: State, handler: Handler, rules: RowHandlingRules): State {
  const go = (to: Handler, state = rest): State => ({ ...state, handlers: [...state.handlers, to] });
  const { event, at } = handler;
  switch (at) {
    case 'document':
      return go({ event, at: 'core', found: rest.document });
    case 'core':
      return go({ ...handler, at: 'row', core: rest.core });
    case 'row': {
      const plan = planWrites(handler, rest.row, rules);
      return plan.length === 0 ? rest : go({ ...handler, at: 'write', plan });
    }
    case 'write': {
      const [next, ...plan] = handler.plan!;
      const after = carryOut(rest, next!, handler, rules);
      if (after === undefined) return go({ event, at: 'document' }, removeOwn(rest, next!, rules));
      return go({ ...handler, at: plan.length === 0 ? 'confirm' : 'write', plan }, after);
    }
    case 'confirm':
      return same(rest.core, handler.core) ? rest : go({ event, at: 'document' });
  }
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

function planWrites({ event, found = null, core = null }: Handler, row: number, rules: RowHandlingRules): Write[] {
  const after = findWanted(found, core, event);
  const [old, wanted] = [found?.override ?? 0, after?.override ?? 0];
  const isKept = old === wanted && wanted !== 0;
  const isWrong = row === 0 || (rules.comparesRows && row !== wanted);
  const isLeft = rules.removesLeft && event === 'override' && row !== 0 && old === 0 && wanted === 0;
  const isChecked = event !== 'trait' || rules.transactions || !rules.restoresTouched;
  const put = wanted !== 0 && (!isKept || (isWrong && isChecked)) ? wanted : undefined;
  const isRemoved = (old !== 0 && wanted === 0) || isLeft;
  const isBeside = (isKept && put !== undefined) || isLeft;
  const target = isRemoved ? 0 : put;
  if (same(found, after)) {
    if (target === undefined) return [];
    if (rules.transactions) return [{ kind: 'check', row: target }];
    const rows: Write[] = put === undefined ? [{ kind: 'delete' }] : [{ kind: 'put', row: put }];
    return [{ kind: 'check' }, ...rows, ...lookAfter(put, rules)];
  }
  const document: Write = { kind: 'document', to: after, isBeside };
  if (rules.transactions) return [{ ...document, ...(target !== undefined && { row: target }) }];
  const deletes: Write[] = isRemoved ? [{ kind: 'delete' }] : [];
  const puts: Write[] = put === undefined ? [] : [{ kind: 'put', row: put }];
  return [
    ...(rules.removesFirst ? deletes : []),
    ...(rules.putsLast ? [] : puts),
    document,
    ...(rules.removesFirst ? [] : deletes),
    ...(isRemoved && after === null && rules.removesAgain ? [{ kind: 'sweep' as const }] : []),
    ...(rules.putsLast ? puts : []),
    ...lookAfter(put, rules),
  ];
}

const lookAfter = (put: number | undefined, { looksAfter }: RowHandlingRules): Write[] =>
  put === undefined || !looksAfter ? [] : [{ kind: 'look', row: put }];

/** The document required by rule 1. */
function findWanted(document: Document | null, core: Core | null, event: Event): Document | null {
  if (core === null) return document?.djangoId === null ? document : null;
  const whole = { djangoId: core.id, trait: core.trait, override: core.override };
  if (document === null || (document.djangoId !== null && document.djangoId !== core.id)) return whole;
  if (event === 'all') return { ...whole, djangoId: document.djangoId };
  return event === 'trait' ? { ...document, trait: core.trait } : { ...document, override: core.override };
}

/** @returns undefined if the document is no longer as it was read, or written */
function carryOut(rest: State, write: Write, handler: Handler, rules: RowHandlingRules): State | undefined {
  const { found = null } = handler;
  switch (write.kind) {
    case 'put':
      return { ...rest, row: write.row };
    case 'delete':
      return { ...rest, row: 0 };
    case 'sweep':
      return rest.document === null ? { ...rest, row: 0 } : rest;
    case 'look':
      return rest.document?.override === write.row ? rest : undefined;
    case 'check':
      if (!same(rest.document, found)) return undefined;
      return write.row === undefined ? rest : { ...rest, row: write.row };
    case 'document': {
      if (!isAsRead(rest.document, found, write, handler, rules)) return undefined;
      const document = mergeInto(rest.document, found, write.to);
      return { ...rest, document, ...(write.row !== undefined && { row: write.row }) };
    }
  }
}

/** An update depends on the list that it sets; any other write on the whole document. */
function isAsRead(
  now: Document | null,
  found: Document | null,
  { to, isBeside }: Extract<Write, { kind: 'document' }>,
  { event }: Handler,
  { dependsOnOverrides }: RowHandlingRules,
): boolean {
  if (now === null || found === null || to === null || found.djangoId !== to.djangoId) return same(now, found);
  if (now.djangoId !== found.djangoId) return false;
  const isTraitsAlone = event === 'trait' && !(isBeside && dependsOnOverrides);
  return now.trait === found.trait && (isTraitsAlone || now.override === found.override);
}

/** Lists that are not set stay as they are now. */
function mergeInto(now: Document | null, found: Document | null, to: Document | null): Document | null {
  if (now === null || found === null || to === null) return to;
  return {
    ...now,
    ...Object.fromEntries(Object.entries(to).filter(([name, value]) => found[name as keyof Document] !== value)),
  };
}

function removeOwn(rest: State, write: Write, { removesOwn }: RowHandlingRules): State {
  const isLost = write.kind === 'look' && (rest.document?.override ?? 0) === 0 && rest.row === write.row;
  return isLost && removesOwn ? { ...rest, row: 0 } : rest;
}
