/**
 * A document and its override row in one place, small enough to try every interleaving of several processes
 * (docs/design.md, "Convergence", rule 11).
 *
 * One identity with a trait and an override. Each event is handled by a process that reads the document, Core, and the
 * row, and writes conditionally; two may be at work, and one of them may be killed anywhere, upon which its event comes
 * again. With transactions the document and its row are written together; without, one after the other, and what a
 * killed process had sent may arrive late. The steps of a process are in protocol-model-rows-handler.ts.
 */

import { type Handler, type RowHandlingRules, step } from './protocol-model-rows-handler.ts';

export interface Core {
  readonly id: number;
  readonly trait: number;
  /** 0: none, though it had one. */
  readonly override: number;
}

/** `djangoId` null: created on Edge. */
export interface Document {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly override: number;
}

/** `trait` touches an override, too, but not the one that there is. */
export type Event = 'all' | 'override' | 'trait';

export interface State {
  readonly core: Core | null;
  readonly nextId: number;
  readonly document: Document | null;
  /** The value of the row; 0: there is none. */
  readonly row: number;
  readonly writes: string;
  readonly events: readonly Event[];
  readonly handlers: readonly Handler[];
  /** The put of a row that a killed process had sent. */
  readonly late: { readonly row: number; readonly event: Event } | null;
  readonly mayKill: boolean;
  /** A process was killed between a document and its row: if Core deletes the identity, a row may stay, as documented. */
  readonly isUnwatched: boolean;
}

export const ALL_ROW_RULES: RowHandlingRules = {
  transactions: true,
  dependsOnOverrides: true,
  removesFirst: true,
  removesAgain: true,
  putsLast: true,
  looksAfter: true,
  comparesRows: true,
  removesOwn: true,
  removesLeft: true,
  restoresTouched: true,
};

/**
 * `c`, `d` create, with an override, and delete in Core; `1`, `2`, `u` set and remove the override there, `t` sets the
 * trait; `x` an Edge client removes the override, with its row.
 */
const SCENARIOS = ['c', 'd', '2', 'u', 't', 'x', 'cd', 'dc', '21', '2u', 'u1', 'ud', 'tx', 'xt', 'td'] as const;

export interface RowExploration {
  readonly states: number;
  /** Runs with a wrong end state. */
  readonly violations: readonly string[];
}

/** Tries every order of steps in every scenario, from every beginning. */
export function exploreRows(rules: RowHandlingRules): RowExploration {
  let states = 0;
  const violations = new Set<string>();
  for (const start of SCENARIOS.flatMap(beginnings)) {
    const seen = new Set<string>();
    const open = [start];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const name = JSON.stringify(state);
      if (seen.has(name)) continue;
      seen.add(name);
      const next = successors(state, rules);
      if (next.length > 0) open.push(...next);
      else for (const what of judge(state, start.writes)) violations.add(`${start.writes}: ${what}`);
    }
    states += seen.size;
  }
  return { states, violations: [...violations] };
}

/** Nothing; an identity that both have, with its row, and as a tool that writes no rows has left it. */
function beginnings(writes: string): State[] {
  const nothing: State = {
    ...{ core: null, nextId: 2, document: null, row: 0, writes },
    ...{ events: [], handlers: [], late: null, mayKill: true, isUnwatched: false },
  };
  if (writes.startsWith('c')) return [nothing];
  const there = { core: { id: 1, trait: 1, override: 1 }, document: { djangoId: 1, trait: 1, override: 1 } };
  return [1, 0].map((row) => ({ ...nothing, ...there, row }));
}

function successors(state: State, rules: RowHandlingRules): State[] {
  return [
    ...write(state),
    ...begin(state),
    ...state.handlers.flatMap((handler, index) => {
      const rest = { ...state, handlers: state.handlers.toSpliced(index, 1) };
      return [step(rest, handler, rules), ...kill(rest, handler)];
    }),
    ...arrive(state),
  ];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const { core, document } = state;
  const rest = { ...state, writes: state.writes.slice(1) };
  const change = (to: Core | null, event: Event, nextId = state.nextId): State[] => [
    { ...rest, core: to, nextId, events: [...state.events, event].toSorted() },
  ];
  switch (kind) {
    case 'c':
      return change({ id: state.nextId, trait: 1, override: 1 }, 'all', state.nextId + 1);
    case 'd':
      return change(null, 'all');
    case 't':
      return change({ ...core!, trait: 2 }, 'trait');
    case 'x':
      return [document === null ? rest : { ...rest, document: { ...document, override: 0 }, row: 0 }];
    default:
      return change({ ...core!, override: kind === 'u' ? 0 : Number(kind) }, 'override');
  }
}

function begin(state: State): State[] {
  if (state.handlers.length === 2) return [];
  return [...new Set(state.events)].map((event) => {
    const events = state.events.toSpliced(state.events.indexOf(event), 1);
    return { ...state, events, handlers: [...state.handlers, { event, at: 'document' as const }] };
  });
}

/** Its event comes again, and once more when nothing of it can arrive any more. */
function kill(rest: State, { event, at, plan }: Handler): State[] {
  if (!rest.mayKill) return [];
  const next = at === 'write' ? plan?.[0] : undefined;
  const isUnwatched = next !== undefined && ['put', 'look', 'sweep'].includes(next.kind);
  const killed = { ...rest, mayKill: false, events: [...rest.events, event].toSorted(), isUnwatched };
  return next?.kind === 'put' ? [killed, { ...killed, late: { row: next.row, event } }] : [killed];
}

/** It is carried out, or no longer can be. */
function arrive(state: State): State[] {
  const { late } = state;
  if (late === null) return [];
  const rest = { ...state, late: null, events: [...state.events, late.event].toSorted() };
  return [rest, { ...rest, row: late.row }];
}

/** The faults in the end state of a run. */
function judge({ core, document, row, isUnwatched }: State, writes: string): string[] {
  if (core === null && document !== null && document.djangoId !== null) return ['a deleted identity is in Edge'];
  if (core !== null && document === null) return ['an identity is missing in Edge'];
  if (core !== null && document?.trait !== core.trait) return ['the trait differs'];
  const wanted = document?.override ?? 0;
  if (row === wanted || (core === null && isUnwatched)) return [];
  // A missing row is a fault only if one of these writes has asked for it.
  if (row === 0) return /[12ucd]/.test(writes) ? ['a row is missing'] : [];
  return [wanted === 0 ? 'a row is left' : 'a row differs'];
}
