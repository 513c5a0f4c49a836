/**
 * The convergence protocol on a table in two regions with eventual consistency, small enough to try every interleaving
 * (docs/design.md, "Convergence", rule 10).
 *
 * One identity with one trait. Core's API changes it; each change leaves an event. We write in the home region, or
 * after failover in the other one, each process in the region that it reaches; Edge clients write in both. Each write
 * is replicated to the other region, in any order and after any time; the latest wins for the whole document, deletes
 * included. Changes between read and write are covered by protocol-model.ts: here an event is handled in one step.
 *
 * A handled event is checked again "after the lag": when replicas on their way to the other region at that time have
 * arrived, and those on their way back then. Where a region is isolated, the check does not wait for that.
 *
 * The steps are in protocol-model-regions-steps.ts; moving to the other region and returning is in
 * protocol-model-regions-failover.ts.
 */

import { type FailoverRules, NO_FAILOVER, READY_TO_FAIL_OVER } from './protocol-model-regions-failover.ts';
import { byText, CLIENT, type Core, type Recheck, type State, same, wholeOf } from './protocol-model-regions-state.ts';
import { successors } from './protocol-model-regions-steps.ts';

/** The rules that may be left out, to show that they are needed. */
export interface RegionRules extends FailoverRules {
  /** Every handled event is checked again. */
  readonly rechecks: boolean;
  /** `roundTrip`: by then writes made there on an older document are here. `oneWay`: they may still be on their way. */
  readonly waits: 'roundTrip' | 'oneWay' | 'not';
  /** Equal documents are checked again, too: the write that made them equal may lose. */
  readonly rechecksEqual: boolean;
  /** A check that wrote is followed by another one. */
  readonly repeats: boolean;
  /** A check deletes again what has come back. */
  readonly deletesAgain: boolean;
  /** The copy's writes are checked again before it is complete. */
  readonly copyRechecks: boolean;
  /** A check covers every region, and is complete only when all agree. */
  readonly rechecksEverywhere: boolean;
  /**
   * `failover`: in the other region while the home region is dark, and until it has the writes made there. `either`:
   * each event is handled, and each check made, in either of the two, as when processes disagree which is reachable.
   */
  readonly writesIn: 'home' | 'failover' | 'either';
}

export const ALL_REGION_RULES: RegionRules = {
  rechecks: true,
  waits: 'roundTrip',
  rechecksEqual: true,
  repeats: true,
  deletesAgain: true,
  copyRechecks: true,
  rechecksEverywhere: false,
  writesIn: 'home',
  returnsWithProof: true,
  looksAfterWriting: true,
  copyWaits: true,
  listsAtHome: true,
  awaitsLate: true,
};

/**
 * `c`, `d` create and delete in Core, `D` deletes with the whole environment, `1`, `2`, `u` set and remove the trait there;
 * `e` a client of the other region, `h` one of this region sets its own trait, which creates a missing document.
 */
const SCENARIOS = [
  ...['1', 'u', 'd', 'c', 'e', '1e', 'e1', 'ue', 'eu', 'de', 'ed', 'ce', 'ec', 'he', '1he', 'hde'],
  ...['12e', '1ee', 'dce', 'dec', 'edc', 'cde', 'c1e', 'ee1', 'eed', 'dee', 'D', 'De', 'cD'],
] as const;

const CORE_BEFORE: readonly (Core | null)[] = [null, { id: 1, trait: 0 }, { id: 1, trait: 1 }];

export interface RegionExploration {
  readonly states: number;
  /** Runs with a wrong end state. */
  readonly violations: readonly string[];
}

const COPY_BEFORE = ['read', 'done'] as const;

/** Tries every order of steps in every scenario, from every beginning: by default with the copy to come, and complete. */
export function exploreRegions(
  rules: RegionRules,
  scenarios: readonly string[] = SCENARIOS,
  copies: readonly (typeof COPY_BEFORE)[number][] = COPY_BEFORE,
): RegionExploration {
  let states = 0;
  const violations: string[] = [];
  for (const start of copies.flatMap((copy) => beginnings(scenarios, copy, rules))) {
    const seen = new Set<string>();
    const open = [start];
    const found = new Set<string>();
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const name = JSON.stringify(state);
      if (seen.has(name)) continue;
      seen.add(name);
      const next = successors(state, rules).map(normalize);
      if (next.length > 0) open.push(...next);
      else {
        const what = judge(state, start.writes);
        if (what !== undefined) found.add(`${start.writes}: ${what}`);
      }
    }
    states += seen.size;
    violations.push(...found);
  }
  return { states, violations: [...new Set(violations)] };
}

function beginnings(scenarios: readonly string[], copy: 'read' | 'done', { writesIn }: RegionRules): State[] {
  const failover = writesIn === 'failover' ? READY_TO_FAIL_OVER : NO_FAILOVER;
  const nothing = { nextId: 2, replicas: [], events: [], rechecks: [], held: [], isExposed: false, failover };
  return CORE_BEFORE.flatMap((core) =>
    scenarios
      .filter((writes) => isPossible(writes, core !== null))
      .map((writes): State => {
        const document = core === null || copy === 'read' ? null : wholeOf(core);
        const version = { document, time: 0 };
        return { ...nothing, core, copy, writes, home: version, away: version };
      }),
  );
}

function isPossible(writes: string, exists: boolean): boolean {
  let present = exists;
  for (const write of writes) {
    if ('eh'.includes(write)) continue;
    if (present === (write === 'c')) return false;
    if ('cdD'.includes(write)) present = write === 'c';
  }
  return true;
}

/** The fault in the end state of a run, if any. */
function judge(state: State, writes: string): string | undefined {
  const { core, home, away, isExposed } = state;
  if (!same(home.document, away.document)) return 'the regions differ';
  if (state.rechecks.length > 0 || state.copy === 'recheck') return 'a recheck never ends';
  if (state.events.length > 0) return 'an event is never handled';
  const { document } = home;
  if (core === null)
    return document !== null && document.djangoId !== null ? 'a deleted identity is in Edge' : undefined;
  if (document === null) return 'an identity is missing in Edge';
  if (document.djangoId !== null && document.djangoId !== core.id)
    return 'Edge has the identity that was deleted before';
  const isTouched = /[12u]/.test(writes);
  if ((document.djangoId !== null || isTouched) && document.trait !== core.trait) return 'the trait differs';
  const isKept = /[eh]/.test(writes) && !/[cdD]/.test(writes);
  return isKept && !isExposed && document.own !== CLIENT
    ? "an Edge client's write is lost outside the window"
    : undefined;
}

/** Only the order of times matters. */
function normalize(state: State): State {
  const { home, away, replicas, rechecks } = state;
  const times = [home.time, away.time, ...replicas.map(({ time }) => time)];
  const all = [...new Set(times)].toSorted((one, other) => one - other);
  const rank = <T extends { readonly time: number }>(item: T): T => ({ ...item, time: all.indexOf(item.time) });
  // Replicas up to then, and no later one.
  const lower = (recheck: Recheck): Recheck => ({
    ...recheck,
    until: recheck.until < 0 ? -1 : all.filter((time) => time <= recheck.until).length - 1,
  });
  return {
    ...state,
    home: rank(home),
    away: rank(away),
    replicas: replicas.map(rank).toSorted(byText),
    rechecks: rechecks.map((recheck) => (recheck.to === 'none' ? recheck : lower(recheck))).toSorted(byText),
  };
}
