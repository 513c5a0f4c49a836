/**
 * The convergence protocol, small enough to try every interleaving (docs/design.md, "Convergence", rules 1 to 3 and 9).
 *
 * One identity with one trait. Core's API changes it step by step; each change leaves an event, which may come at any
 * time and twice. Two appliers handle events, each step on its own: read Edge, read Core, write if Edge is as it was
 * read, read Core again. The copy has read a page at some time and inserts it at another. Every step of everyone may
 * come next; {@link explore} walks through all orders and looks at the state in which nobody has anything left to do.
 *
 * A write may outlive the process that sent it: it arrives at any later time, and is carried out if its condition holds
 * then. That is one of the {@link ProcessFault}s, which are tried at every step.
 *
 * Reads that several handlers share (shared-stores.ts) are steps of each of them that come right after one another, as
 * long as nobody is given the answer of a read that began before they asked.
 */

import { EDGE_CLIENT, fits, successors } from './protocol-model-steps.ts';

/**
 * Core's row: `trait` 0 means that it has none. `bulk`: it has another, large trait; no document can hold that beside
 * `trait` 2.
 */
export interface CoreState {
  readonly id: number;
  readonly trait: number;
  readonly bulk?: true;
}

/**
 * Edge's document: `djangoId` null means that it was born on Edge; `own` is a trait that only Edge clients set. `foreign`:
 * it is of another identity that has the same composite key.
 */
export interface EdgeState {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly own: number;
  readonly bulk?: true;
  readonly foreign?: true;
}

/**
 * What an event touched: one of the traits, or only the identity's existence. `repair` is none: a comparison has found that
 * the stores differ, and makes them agree by the same steps once the copy is complete. It begins again where it was killed.
 */
export type Event = 'trait' | 'bulk' | 'existence' | 'repair';

/** An event that Edge could not follow, and what both stores had then: it is tried again when something is otherwise. */
interface Aside {
  readonly event: Event;
  readonly edge: EdgeState | null;
  readonly core: CoreState | null;
}

/** A write in the network that no process waits for any more. */
export interface LateWrite {
  readonly sender: Event | 'copy';
  readonly read: EdgeState | null;
  readonly wanted: EdgeState | null;
}

/**
 * - `kill`: an applier or the copy's worker is killed; if it was about to write, the write may be on its way.
 * - `timeout`: a write is not answered in time; it may be on its way, and its sender goes on.
 * - `freeze`: an applier stands still until its event has been delivered to another one, and then goes on.
 * - `return`: an applier gives its event back, to be delivered again. That is no fault, but happens as rarely.
 * - `lateAck`: an acknowledgement is so long on its way that its event is delivered again before it arrives.
 * - `lateNak`: the same of an event that is given back, together with a `return`.
 * - `forget`: NATS crashes, and what was delivered is delivered again as if for the first time.
 */
export type ProcessFault = 'kill' | 'timeout' | 'freeze' | 'return' | LateAnswer | 'forget';

/** NATS takes an answer for one to whatever delivery of the message is in hand when it arrives. */
export type LateAnswer = 'lateAck' | 'lateNak';

/** An event that was delivered before, and not answered. */
export interface Redelivery {
  readonly event: Event;
  /** Its deliveries since an applier gave it back and remembers that it did. */
  readonly since?: number | undefined;
  /** An answer to an earlier delivery is on its way. */
  readonly named?: LateAnswer;
  /** Such an answer has let it be delivered to two at a time: it is gone when one of them acknowledges it. */
  readonly twin?: true;
}

export interface HandlerState extends Redelivery {
  /** What an earlier delivery of the event wrote may still be on its way, or what this one wrote. */
  readonly doubt?: true;
  /** The event has been delivered to another applier meanwhile. */
  readonly lapsed?: true;
  /** The event was acknowledged on behalf of an earlier delivery: it does not come again. */
  readonly answered?: true;
  readonly step: 'readEdge' | 'readCore' | 'write' | 'confirm';
  /** The copy was not complete when the event was delivered. */
  readonly copying: boolean;
  /** What both stores had when Edge could not hold what the event touched. */
  readonly left?: Pick<Aside, 'edge' | 'core'> | undefined;
  readonly edge: EdgeState | null;
  readonly core: CoreState | null;
}

export type Copy =
  | { readonly step: 'read' | 'done' }
  | { readonly step: 'insert'; readonly core: CoreState }
  /** Somebody else's document is there: it is merged by the same steps as a handler's. */
  | { readonly step: 'readEdge' }
  | { readonly step: 'readCore'; readonly edge: EdgeState | null }
  | { readonly step: 'write'; readonly edge: EdgeState | null; readonly core: CoreState | null }
  | { readonly step: 'confirm'; readonly core: CoreState | null };

export interface State {
  readonly core: CoreState | null;
  readonly edge: EdgeState | null;
  readonly nextId: number;
  /** Still to come, see {@link SCENARIOS}. */
  readonly writes: string;
  readonly events: readonly Event[];
  readonly redelivered: readonly Redelivery[];
  /** Handled, and to be handled once more when no write of an earlier delivery can arrive any more. */
  readonly again: readonly Event[];
  readonly held: readonly Event[];
  readonly aside: readonly Aside[];
  readonly handlers: readonly HandlerState[];
  readonly copy: Copy;
  /** What may still go wrong, in any order. */
  readonly faults: readonly ProcessFault[];
  readonly late: readonly LateWrite[];
  /** The copy has listed the identity as one that Edge cannot hold. */
  readonly listed: boolean;
  /** Another identity's document was changed by us. */
  readonly harmed: boolean;
  /** What handlers read last; kept where a later one may be given it (see {@link Rules} `fresh`). */
  readonly loaded: { readonly edge?: EdgeState | null; readonly core?: CoreState | null };
}

/** The rules that may be left out, to see that they are needed. */
export interface Rules {
  /** Core is read again after the write (rule 1). */
  readonly rereads: boolean;
  /** A document of an identity that was deleted and created again is replaced (rule 1). */
  readonly replaces: boolean;
  /** Removals found while the copy runs are handled again when it is complete (rule 3). */
  readonly holds: boolean;
  /** What is read began to be read after it was asked for, however many asked. */
  readonly fresh: boolean;
  /** A document that is another identity's is left alone (rule 6). */
  readonly owns: boolean;
  /** Whose a document is, is part of the condition of every write, not only looked at before it (rule 6). */
  readonly guards: boolean;
  /** What Edge cannot hold is remembered and tried again (rule 7). */
  readonly remembers: boolean;
  /** What was delivered before, or wrote without an answer, is handled again when such a write has arrived (rule 9). */
  readonly looksAgain: boolean;
  /** Except what an applier itself gave back, if it was in no doubt then (rule 9). */
  readonly returnsClean: boolean;
  /** And if it was delivered to nobody since, by the count of its deliveries (rule 9). */
  readonly counts: boolean;
  /**
   * What is in doubt because it was delivered before goes on as a message of its own before anything is written for it, so
   * that no answer to an earlier delivery counts for it (rule 9).
   */
  readonly renews: boolean;
  /** That it gave an event back an applier remembers only once NATS has confirmed it (rule 9). */
  readonly confirms: boolean;
  /** What NATS had before it crashed is in doubt, though it is delivered as if for the first time (rule 9). */
  readonly distrusts: boolean;
  /** Nothing is written for an event that may have been delivered to another applier (rule 9). */
  readonly expires: boolean;
  /** Nor is such an event answered (rule 9). */
  readonly yields: boolean;
  /** The copy is complete only when no write of a worker that was killed can arrive any more (rule 9). */
  readonly settles: boolean;
  /** A repair that was killed, or wrote without an answer, is done again when such a write has arrived (rule 9). */
  readonly repairsAgain: boolean;
}

export const ALL_RULES: Rules = {
  rereads: true,
  replaces: true,
  holds: true,
  fresh: true,
  owns: true,
  guards: true,
  remembers: true,
  looksAgain: true,
  returnsClean: true,
  counts: true,
  renews: true,
  confirms: true,
  distrusts: true,
  expires: true,
  yields: true,
  settles: true,
  repairsAgain: true,
};

/**
 * Core's and Edge clients' writes, one character each: `c` create, `1` and `2` set the trait, `u` remove the trait,
 * `d` delete the identity, `L` and `l` add and remove its large trait; `e` an Edge client sets its own trait, which creates a document where there is none.
 *
 * An identity of another project may have the same composite key: `x` an Edge client deletes the document, `f` that
 * project's copy inserts its own where there is none, `b` an Edge client creates one for it, `g` it goes again.
 */
export const SCENARIOS = [
  ...(['12', '1u', 'u1', 'd', 'dc', 'dc1', 'c1', 'cd', 'c1d', 'u', 'e1', 'eu', 'ed', '1e'] as const),
  ...(['f1', 'fd', 'fc1', 'fdc', 'f1g', '1xb', '1xf', 'dxb'] as const),
  ...(['L2l', '2L1'] as const),
] as const;

/** Few enough to try every order with a {@link ProcessFault}. */
export const FAULT_SCENARIOS: readonly string[] = ['12', 'd', 'dc', 'cd', '1d', '1e'];
/** Those in which two of them can bring a deleted identity back. */
export const DELETING_SCENARIOS: readonly string[] = ['d', 'cd'];

const CORE_BEFORE: readonly (CoreState | null)[] = [null, { id: 1, trait: 0 }, { id: 1, trait: 1 }];
const EDGE_BEFORE: readonly (EdgeState | null)[] = [null, { djangoId: null, trait: 5, own: 9 }];

export interface Exploration {
  readonly states: number;
  /** Runs that ended with Edge not as Core says. */
  readonly violations: readonly string[];
}

export interface ExploreOptions {
  readonly faults?: readonly ProcessFault[];
  readonly scenarios?: readonly string[];
  /** A violation that is looked for: nothing more is tried once it has been found. */
  readonly until?: (violation: string) => boolean;
  /** A comparison repairs once, at any time after the copy. */
  readonly repairs?: boolean;
}

/** Tries every order of steps in every scenario from every beginning. */
export function explore(
  rules: Rules,
  { faults = [], scenarios = SCENARIOS, until = () => false, repairs = false }: ExploreOptions = {},
): Exploration {
  let states = 0;
  const violations: string[] = [];
  for (const start of beginnings({ faults, scenarios, repairs })) {
    const { writes, core, edge } = start;
    const describe = (what: string) => `${writes} from ${JSON.stringify({ core, edge })}: ${what}`;
    const found = exploreFrom(start, rules, (what) => until(describe(what)));
    states += found.states;
    violations.push(...found.violations.map(describe));
    if (violations.some(until)) break;
  }
  return { states, violations };
}

function beginnings({ faults, scenarios, repairs }: Required<Omit<ExploreOptions, 'until'>>): State[] {
  const nothing = {
    ...{
      events: repairs ? (['repair'] as const) : [],
      redelivered: [],
      again: [],
      held: [],
      aside: [],
      handlers: [],
      late: [],
    },
    ...{ listed: false, harmed: false, loaded: {} },
  };
  return CORE_BEFORE.flatMap((core) =>
    EDGE_BEFORE.flatMap((edge) =>
      scenarios
        .filter((writes) => isPossible(writes, core !== null))
        .map((writes): State => ({ ...nothing, core, edge, nextId: 2, writes, copy: { step: 'read' }, faults })),
    ),
  );
}

function isPossible(writes: string, exists: boolean): boolean {
  let present = exists;
  for (const write of writes) {
    if ('efbgx'.includes(write)) continue;
    if (present === (write === 'c')) return false;
    if (write === 'c' || write === 'd') present = write === 'c';
  }
  return true;
}

function exploreFrom(start: State, rules: Rules, isEnough: (what: string) => boolean): Exploration {
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
      const what = judge(state, start.writes);
      if (what === undefined) continue;
      violations.add(what);
      if (isEnough(what)) break;
    }
  }
  return { states: seen.size, violations: [...violations] };
}

/** What is wrong with the end of a run, if anything. */
function judge({ core, edge, aside, listed, harmed }: State, writes: string): string | undefined {
  if (harmed) return "another identity's document was changed";
  // Whether an identity that a client has deleted on Edge comes back is a matter of the order.
  if (writes.includes('x')) return undefined;
  const isListed = listed || aside.length > 0;
  if (edge?.foreign) return core === null || isListed ? undefined : 'an identity whose key is taken is not listed';
  if (core === null) return edge !== null && edge.djangoId !== null ? 'a deleted identity is in Edge' : undefined;
  if (!fits(core)) return isListed ? undefined : 'an identity that Edge cannot hold is not listed';
  // Only the copy knew of it, and the other's document has gone since.
  if (edge === null) return listed ? undefined : 'an identity is missing in Edge';
  if (edge.djangoId !== null && edge.djangoId !== core.id) return 'Edge has the identity that was deleted before';
  const isTouched = /[12u]/.test(writes);
  if ((edge.djangoId !== null || isTouched) && edge.trait !== core.trait) return 'the trait differs';
  if (/[Ll]/.test(writes) && edge.bulk !== core.bulk) return 'the large trait differs';
  // Only a document that was there for good: one that Core deleted took the clients' trait with it.
  if (writes.endsWith('e') && edge.own !== EDGE_CLIENT) return "an Edge client's own trait is lost";
  return undefined;
}
