/**
 * The convergence protocol, small enough to try every interleaving (docs/design.md, "Convergence", rules 1 to 3).
 *
 * One identity with one trait. Core's API changes it step by step; each change leaves an event, which may come at any
 * time and twice. Two appliers handle events, each step on its own: read Edge, read Core, write if Edge is as it was
 * read, read Core again. The copy has read a page at some time and inserts it at another. Every step of everyone may
 * come next; {@link explore} walks through all orders and looks at the state in which nobody has anything left to do.
 */

/** Core's row: `trait` 0 means that it has none. */
interface CoreState {
  readonly id: number;
  readonly trait: number;
}

/** Edge's document: `djangoId` null means that it was born on Edge; `own` is a trait that only Edge clients set. */
interface EdgeState {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly own: number;
}

/** What an event touched: the trait, or only the identity's existence. */
type Event = 'trait' | 'existence';

interface Handler {
  readonly event: Event;
  readonly step: 'readEdge' | 'readCore' | 'write' | 'confirm';
  /** The copy was not complete when the event was delivered. */
  readonly copying: boolean;
  readonly edge: EdgeState | null;
  readonly core: CoreState | null;
}

type Copy =
  | { readonly step: 'read' | 'done' }
  | { readonly step: 'insert'; readonly core: CoreState }
  /** Somebody else's document is there: it is merged by the same steps as a handler's. */
  | { readonly step: 'readEdge' }
  | { readonly step: 'readCore'; readonly edge: EdgeState | null }
  | { readonly step: 'write'; readonly edge: EdgeState | null; readonly core: CoreState | null }
  | { readonly step: 'confirm'; readonly core: CoreState | null };

interface State {
  readonly core: CoreState | null;
  readonly edge: EdgeState | null;
  readonly nextId: number;
  /** Still to come, see {@link SCENARIOS}. */
  readonly writes: string;
  readonly events: readonly Event[];
  readonly held: readonly Event[];
  readonly handlers: readonly Handler[];
  readonly copy: Copy;
  /** How often an applier may still be killed: what it had in hand comes again. */
  readonly kills: number;
}

/** The rules that may be left out, to see that they are needed. */
export interface Rules {
  /** Core is read again after the write (rule 1). */
  readonly rereads: boolean;
  /** A document of an identity that was deleted and created again is replaced (rule 1). */
  readonly replaces: boolean;
  /** Removals found while the copy runs are handled again when it is complete (rule 3). */
  readonly holds: boolean;
}

export const ALL_RULES: Rules = { rereads: true, replaces: true, holds: true };

/**
 * Core's and Edge clients' writes, one character each: `c` create, `1` and `2` set the trait, `u` remove the trait,
 * `d` delete the identity; `e` an Edge client sets its own trait, which creates a document where there is none.
 */
export const SCENARIOS = ['12', '1u', 'u1', 'd', 'dc', 'dc1', 'c1', 'cd', 'c1d', 'u', 'e1', 'eu', 'ed', '1e'] as const;

const CORE_BEFORE: readonly (CoreState | null)[] = [null, { id: 1, trait: 0 }, { id: 1, trait: 1 }];
const EDGE_BEFORE: readonly (EdgeState | null)[] = [null, { djangoId: null, trait: 5, own: 9 }];
const EDGE_CLIENT = 7;
const HANDLERS = 2;

export interface Exploration {
  readonly states: number;
  /** Runs that ended with Edge not as Core says. */
  readonly violations: readonly string[];
}

/** Tries every order of steps in every scenario from every beginning. */
export function explore(rules: Rules, options: { readonly kills?: number } = {}): Exploration {
  let states = 0;
  const violations: string[] = [];
  for (const core of CORE_BEFORE) {
    for (const edge of EDGE_BEFORE) {
      for (const writes of SCENARIOS.filter((scenario) => isPossible(scenario, core !== null))) {
        const start: State = {
          core,
          edge,
          nextId: 2,
          writes,
          events: [],
          held: [],
          handlers: [],
          copy: { step: 'read' },
          kills: options.kills ?? 0,
        };
        const found = exploreFrom(start, writes, rules);
        states += found.states;
        violations.push(...found.violations.map((what) => `${writes} from ${JSON.stringify({ core, edge })}: ${what}`));
      }
    }
  }
  return { states, violations };
}

function isPossible(writes: string, exists: boolean): boolean {
  let present = exists;
  for (const write of writes) {
    if (write === 'e') continue;
    if (present === (write === 'c')) return false;
    if (write === 'c' || write === 'd') present = write === 'c';
  }
  return true;
}

function exploreFrom(start: State, writes: string, rules: Rules): Exploration {
  const seen = new Set<string>();
  const open = [start];
  const violations = new Set<string>();
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const name = JSON.stringify(state);
    if (seen.has(name)) continue;
    seen.add(name);
    const next = successors(state, rules);
    if (next.length > 0) open.push(...next);
    else {
      const what = judge(state, writes);
      if (what !== undefined) violations.add(what);
    }
  }
  return { states: seen.size, violations: [...violations] };
}

/** What is wrong with the end of a run, if anything. */
function judge({ core, edge }: State, writes: string): string | undefined {
  if (core === null) return edge !== null && edge.djangoId !== null ? 'a deleted identity is in Edge' : undefined;
  if (edge === null) return 'an identity is missing in Edge';
  if (edge.djangoId !== null && edge.djangoId !== core.id) return 'Edge has the identity that was deleted before';
  const isTouched = /[12u]/.test(writes);
  if ((edge.djangoId !== null || isTouched) && edge.trait !== core.trait) return 'the trait differs';
  // Only a document that was there for good: one that Core deleted took the clients' trait with it.
  if (writes.endsWith('e') && edge.own !== EDGE_CLIENT) return "an Edge client's own trait is lost";
  return undefined;
}

/** The states that one more step of anybody leads to. */
function successors(state: State, rules: Rules): State[] {
  return [
    ...write(state),
    ...deliver(state),
    ...state.handlers.flatMap((handler, index) => [
      ...handle(state, handler, index, rules),
      ...kill(state, handler, index),
    ]),
    ...copy(state, rules),
    ...release(state),
  ];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const rest = { ...state, writes: state.writes.slice(1) };
  const withEvent = (core: CoreState | null, event: Event) => [
    { ...rest, core, events: sorted([...state.events, event]) },
  ];
  switch (kind) {
    case 'c':
      return [{ ...withEvent({ id: state.nextId, trait: 0 }, 'existence')[0]!, nextId: state.nextId + 1 }];
    case 'd':
      return withEvent(null, 'existence');
    case 'e':
      return [{ ...rest, edge: { ...(state.edge ?? { djangoId: null, trait: 0 }), own: EDGE_CLIENT } }];
    default:
      return withEvent({ id: state.core!.id, trait: kind === 'u' ? 0 : Number(kind) }, 'trait');
  }
}

function deliver(state: State): State[] {
  if (state.handlers.length >= HANDLERS) return [];
  return [...new Set(state.events)].map((event) => ({
    ...state,
    events: without(state.events, state.events.indexOf(event)),
    handlers: sorted([
      ...state.handlers,
      { event, step: 'readEdge', copying: state.copy.step !== 'done', edge: null, core: null },
    ]),
  }));
}

function handle(state: State, handler: Handler, index: number, rules: Rules): State[] {
  const become = (change: Partial<Handler>, edge = state.edge): State[] => [
    { ...state, edge, handlers: sorted(state.handlers.with(index, { ...handler, ...change })) },
  ];
  switch (handler.step) {
    case 'readEdge':
      return become({ edge: state.edge, step: 'readCore' });
    case 'readCore':
      return become({ core: state.core, step: 'write' });
    case 'write': {
      const wanted = converged(handler.edge, handler.core, handler.event === 'trait', rules);
      if (same(wanted, handler.edge)) return finish(state, handler, index, rules);
      if (!same(state.edge, handler.edge)) return become({ edge: null, core: null, step: 'readEdge' });
      if (!rules.rereads) return finish({ ...state, edge: wanted }, handler, index, rules);
      return become({ step: 'confirm', edge: null }, wanted);
    }
    case 'confirm':
      return same(state.core, handler.core)
        ? finish(state, handler, index, rules)
        : become({ core: null, step: 'readEdge' });
  }
}

/** What Edge should be by rule 1. */
function converged(edge: EdgeState | null, core: CoreState | null, touched: boolean, rules: Rules): EdgeState | null {
  if (core === null) return edge !== null && edge.djangoId !== null ? null : edge;
  const whole = { djangoId: core.id, trait: core.trait, own: 0 };
  if (edge === null) return whole;
  if (edge.djangoId !== null && edge.djangoId !== core.id) return rules.replaces ? whole : edge;
  return touched ? { ...edge, trait: core.trait } : edge;
}

function finish(state: State, handler: Handler, index: number, rules: Rules): State[] {
  const isRemoval = handler.core === null || (handler.event === 'trait' && handler.core.trait === 0);
  const held = rules.holds && handler.copying && isRemoval ? [handler.event] : [];
  return [{ ...state, handlers: without(state.handlers, index), held: sorted([...state.held, ...held]) }];
}

function kill(state: State, handler: Handler, index: number): State[] {
  if (state.kills === 0) return [];
  const events = sorted([...state.events, handler.event]);
  return [{ ...state, kills: state.kills - 1, events, handlers: without(state.handlers, index) }];
}

/** Rule 2, `KeepEdge`. */
function copy(state: State, rules: Rules): State[] {
  const { copy: at, edge, core } = state;
  const become = (copy: Copy, changed = edge): State[] => [{ ...state, copy, edge: changed }];
  switch (at.step) {
    case 'read':
      return become(core === null ? { step: 'done' } : { step: 'insert', core });
    case 'insert':
      if (edge === null) return become({ step: 'done' }, { djangoId: at.core.id, trait: at.core.trait, own: 0 });
      return become(edge.djangoId === at.core.id ? { step: 'done' } : { step: 'readEdge' });
    case 'readEdge':
      return become({ step: 'readCore', edge });
    case 'readCore':
      return become({ step: 'write', edge: at.edge, core });
    case 'write': {
      const wanted = merged(at.edge, at.core, rules);
      if (!same(edge, at.edge)) return become({ step: 'readEdge' });
      return same(wanted, at.edge) ? become({ step: 'done' }) : become({ step: 'confirm', core: at.core }, wanted);
    }
    case 'confirm':
      return become(same(core, at.core) ? { step: 'done' } : { step: 'readEdge' });
    case 'done':
      return [];
  }
}

/** Born on Edge: the traits that it lacks are added. */
function merged(edge: EdgeState | null, core: CoreState | null, rules: Rules): EdgeState | null {
  if (core === null) return edge;
  if (edge === null || edge.djangoId !== null) return converged(edge, core, false, rules);
  return { ...edge, trait: edge.trait === 0 ? core.trait : edge.trait };
}

function release(state: State): State[] {
  const [first, ...held] = state.held;
  if (first === undefined || state.copy.step !== 'done') return [];
  return [{ ...state, held, events: sorted([...state.events, first]) }];
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Where the order says nothing, states that differ by it alone are one. */
function sorted<T>(items: readonly T[]): T[] {
  return items.length < 2 ? [...items] : items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function without<T>(items: readonly T[], index: number): T[] {
  return items.toSpliced(index, 1);
}
