/**
 * The convergence protocol, small enough to try every interleaving (docs/design.md, "Convergence", rules 1 to 3 and 9).
 *
 * One identity with one trait. Core's API changes it step by step; each change leaves an event, which may come at any
 * time and twice. Two appliers handle events, each step on its own: read Edge, read Core, write if Edge is as it was
 * read, read Core again. The copy reads a page at one time and inserts it at another. Any participant may take the next
 * step; {@link explore} walks through all orders and checks the states in which no work is left.
 *
 * A write may outlive the process that sent it: it arrives at any later time, and is carried out if its condition holds
 * then. That is one of the {@link ProcessFault}s, which are tried at every step.
 *
 * Reads that several handlers share (shared-stores.ts) are modelled as consecutive steps of each of them, provided that
 * no handler receives the answer of a read that began before it asked.
 */

import { EDGE_CLIENT, fits, successors } from './protocol-model-steps.ts';

/**
 * Core's row: `trait` 0 means that it has none. `bulk`: it has another, large trait; no document can hold that and
 * `trait` 2 together.
 */
export interface CoreState {
  readonly id: number;
  readonly trait: number;
  readonly bulk?: true;
}

/**
 * Edge's document: `djangoId` null means that it was created on Edge; `own` is a trait that only Edge clients set.
 * `foreign`: it belongs to another identity that has the same composite key.
 */
export interface EdgeState {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly own: number;
  readonly bulk?: true;
  readonly foreign?: true;
}

/**
 * The part that an event touched: a trait, or only the identity's existence. `repair` is no event: a comparison found a
 * difference, and removes it by the same steps once the copy is complete. It starts over where it was killed.
 */
export type Event = 'trait' | 'bulk' | 'existence' | 'repair';

/** An event that Edge could not follow, with both stores' state then: it is retried when one of them has changed. */
interface Parked {
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
 * - `timeout`: a write is not answered in time; it may be on its way, and its sender continues.
 * - `freeze`: an applier freezes until its event has been delivered to another one, and then continues.
 * - `return`: an applier gives its event back, to be delivered again. That is no fault, but happens as rarely.
 * - `lateAck`: an acknowledgement takes so long that its event is delivered again before it arrives.
 * - `lateNak`: the same for an event that is given back, together with a `return`.
 * - `forget`: NATS crashes, and delivered events are delivered again as if for the first time.
 */
export type ProcessFault = 'kill' | 'timeout' | 'freeze' | 'return' | LateAnswer | 'forget';

/** NATS credits an answer to the delivery of the message that is in progress when it arrives. */
export type LateAnswer = 'lateAck' | 'lateNak';

/** An event that was delivered before, and not answered. */
export interface Redelivery {
  readonly event: Event;
  /** Its deliveries since an applier gave it back, for as long as that applier remembers. */
  readonly since?: number | undefined;
  /** An answer to an earlier delivery is on its way. */
  readonly named?: LateAnswer;
  /** Such an answer has let two handlers receive it: it is gone when one of them acknowledges it. */
  readonly twin?: true;
}

export interface HandlerState extends Redelivery {
  /** A write of this or an earlier delivery of the event may still be on its way. */
  readonly doubt?: true;
  /** The event has been delivered to another applier meanwhile. */
  readonly lapsed?: true;
  /** The event was acknowledged on behalf of an earlier delivery: it is not delivered again. */
  readonly answered?: true;
  readonly step: 'readEdge' | 'readCore' | 'write' | 'confirm';
  /** The copy was not complete when the event was delivered. */
  readonly copying: boolean;
  /** Both stores' state when Edge could not hold what the event touched. */
  readonly left?: Pick<Parked, 'edge' | 'core'> | undefined;
  readonly edge: EdgeState | null;
  readonly core: CoreState | null;
}

export type Copy =
  | { readonly step: 'read' | 'done' }
  | { readonly step: 'insert'; readonly core: CoreState }
  /** Another writer's document is there: it is merged by the same steps as a handler's. */
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
  readonly parked: readonly Parked[];
  readonly handlers: readonly HandlerState[];
  readonly copy: Copy;
  /** Faults that may still happen, in any order. */
  readonly faults: readonly ProcessFault[];
  readonly late: readonly LateWrite[];
  /** The copy has listed the identity as one that Edge cannot hold. */
  readonly listed: boolean;
  /** We changed another identity's document. */
  readonly harmed: boolean;
  /** The handlers' last reads; kept where a later handler may be given them (see {@link Rules} `fresh`). */
  readonly loaded: { readonly edge?: EdgeState | null; readonly core?: CoreState | null };
}

/** The rules that may be left out, to show that they are needed. */
export interface Rules {
  /** Core is read again after the write (rule 1). */
  readonly rereads: boolean;
  /** A document of an identity that was deleted and created again is replaced (rule 1). */
  readonly replaces: boolean;
  /** Removals found while the copy runs are handled again when it is complete (rule 3). */
  readonly holds: boolean;
  /** Every read begins after each of its requesters has asked, however many share it. */
  readonly fresh: boolean;
  /** A document that belongs to another identity is left alone (rule 6). */
  readonly owns: boolean;
  /** A document's owner is part of the condition of every write, not only checked before it (rule 6). */
  readonly guards: boolean;
  /** Changes that Edge cannot hold are remembered and retried (rule 7). */
  readonly remembers: boolean;
  /** Events delivered before, or with an unanswered write, are handled again when such a write has arrived (rule 9). */
  readonly looksAgain: boolean;
  /** Except events that an applier itself gave back, if it was in no doubt then (rule 9). */
  readonly returnsClean: boolean;
  /** And if they have not been delivered since, by the count of their deliveries (rule 9). */
  readonly counts: boolean;
  /**
   * An event in doubt because of an earlier delivery continues as a new message before anything is written for it, so
   * that no answer to an earlier delivery counts for it (rule 9).
   */
  readonly renews: boolean;
  /** An applier remembers that it gave an event back only once NATS has confirmed it (rule 9). */
  readonly confirms: boolean;
  /** Events stored before a crash of NATS are in doubt, though delivered as if for the first time (rule 9). */
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
  /** Runs in whose end state Edge does not match Core. */
  readonly violations: readonly string[];
}

export interface ExploreOptions {
  readonly faults?: readonly ProcessFault[];
  readonly scenarios?: readonly string[];
  /** The wanted violation: the search stops once it has been found. */
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
      parked: [],
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

/** The fault in the end state of a run, if any. */
function judge({ core, edge, parked, listed, harmed }: State, writes: string): string | undefined {
  if (harmed) return "another identity's document was changed";
  // Whether an identity that a client has deleted on Edge reappears depends on the order.
  if (writes.includes('x')) return undefined;
  const isListed = listed || parked.length > 0;
  if (edge?.foreign) return core === null || isListed ? undefined : 'an identity whose key is taken is not listed';
  if (core === null) return edge !== null && edge.djangoId !== null ? 'a deleted identity is in Edge' : undefined;
  if (!fits(core)) return isListed ? undefined : 'an identity that Edge cannot hold is not listed';
  // Only the copy knew of it, and the other identity's document has gone since.
  if (edge === null) return listed ? undefined : 'an identity is missing in Edge';
  if (edge.djangoId !== null && edge.djangoId !== core.id) return 'Edge has the identity that was deleted before';
  const isTouched = /[12u]/.test(writes);
  if ((edge.djangoId !== null || isTouched) && edge.trait !== core.trait) return 'the trait differs';
  if (/[Ll]/.test(writes) && edge.bulk !== core.bulk) return 'the large trait differs';
  // Only a permanent document: one that Core deleted took the clients' trait with it.
  if (writes.endsWith('e') && edge.own !== EDGE_CLIENT) return "an Edge client's own trait is lost";
  return undefined;
}
