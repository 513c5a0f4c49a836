/**
 * One process that moves to the other region while the home region is dark, and returns (protocol-model-regions.ts).
 *
 * The home region is dark once, for any time. Whether replication works meanwhile is left open, as is the outcome of a
 * write to the home region without an answer: it may be carried out at any time, if its condition holds then.
 */

import {
  byText,
  converged,
  type Document,
  type Event,
  type Region,
  type State,
  same,
  storeOurs,
} from './protocol-model-regions-state.ts';

export interface Failover {
  /** The region that is written. */
  readonly at: Region;
  readonly home: 'answers' | 'dark' | 'back';
  /** Something was written elsewhere that can be looked for in the home region. */
  readonly hasWritten: boolean;
  /** Documents seen there since it began to wait for the home region, each of which has its writes of before. */
  readonly looks: readonly (Document | null)[] | null;
  /** Sent to the home region for an event, on the document that was read there, and not answered. */
  readonly late: { readonly event: Event; readonly read: Document | null; readonly wanted: Document | null } | null;
}

/** The rules of failover, besides the checks in every region. */
export interface FailoverRules {
  /** It returns once the home region has everything written elsewhere. */
  readonly returnsWithProof: boolean;
  /** What was seen elsewhere before it wrote there proves nothing. */
  readonly looksAfterWriting: boolean;
  /** The copy does not move elsewhere. */
  readonly copyWaits: boolean;
  /** Listings of an environment's documents wait for the home region. */
  readonly listsAtHome: boolean;
  /** An event whose write was not answered is handled again when that write can no longer arrive. */
  readonly awaitsLate: boolean;
}

/** The home region can always be reached. */
export const NO_FAILOVER: Failover = { at: 'home', home: 'back', hasWritten: false, looks: null, late: null };
/** It will be dark. */
export const READY_TO_FAIL_OVER: Failover = { ...NO_FAILOVER, home: 'answers' };

export const isDark = ({ failover }: State): boolean => failover.home === 'dark';

/** The home region goes dark and recovers; the process leaves it and returns; late writes arrive. */
export function failOver(state: State, rules: FailoverRules): State[] {
  const { failover } = state;
  const change = (to: Partial<Failover>): State => ({ ...state, failover: { ...failover, ...to } });
  return [
    ...(failover.home === 'answers' ? [undefined, ...state.events].map((event) => goDark(state, event)) : []),
    ...(isDark(state) ? [change({ home: 'back' })] : []),
    ...(isDark(state) && failover.at === 'home' ? [change({ at: 'away' })] : []),
    ...look(state, rules).map((looks) => change({ looks })),
    ...(mayReturn(state, rules) ? [change({ at: 'home', hasWritten: false, looks: null })] : []),
    ...resolveLate(state, rules),
  ];
}

/** @param event whose write was sent at that moment; it is unfinished, and will be handled in the other region */
function goDark(state: State, event: Event | undefined): State {
  const { failover, core } = state;
  const read = state.home.document;
  const wanted = event === undefined || event === 'listing' ? read : converged(read, core, event);
  const late = event === undefined || same(read, wanted) ? null : { event, read, wanted };
  return { ...state, failover: { ...failover, home: 'dark', late } };
}

/** Begins to wait, and adds the document elsewhere, which clients may change all the time. */
function look({ failover, away }: State, { looksAfterWriting }: FailoverRules): NonNullable<Failover['looks']>[] {
  const { at, home, hasWritten, looks } = failover;
  if (at === 'home') return [];
  if (looks === null) return (home === 'back' && hasWritten) || !looksAfterWriting ? [[]] : [];
  return looks.some((seen) => same(seen, away.document)) ? [] : [[...looks, away.document].toSorted(byText)];
}

/** Where nothing was written elsewhere the product stays, or is restarted: there is nothing that could be lost. */
function mayReturn({ failover, home }: State, { returnsWithProof }: FailoverRules): boolean {
  if (failover.at === 'home' || failover.home !== 'back') return false;
  return !returnsWithProof || !failover.hasWritten || (failover.looks ?? []).some((seen) => same(seen, home.document));
}

/** It is carried out, or no longer can be. */
function resolveLate(state: State, { awaitsLate }: FailoverRules): State[] {
  const { late } = state.failover;
  if (late === null) return [];
  const events = awaitsLate ? [...state.events, late.event].toSorted() : state.events;
  const rest: State = { ...state, events, failover: { ...state.failover, late: null } };
  // A write that could not wait for those on their way.
  const isExposed = rest.isExposed || rest.replicas.some(({ to }) => to === 'home');
  return same(state.home.document, late.read) ? [rest, storeOurs({ ...rest, isExposed }, 'home', late.wanted)] : [rest];
}
