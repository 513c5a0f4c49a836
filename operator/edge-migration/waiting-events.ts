import { coversMinute } from '@edge-migration/contract/edge-migration/gaps.ts';
import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import { MINUTE_MS } from '@edge-migration/contract/parked-place.ts';
import { conditionTrue, type DecidedCondition, formatTime } from './conditions.ts';
import type { CoverageGapFact, Facts, WaitingEvents } from './facts.ts';

/** Events that do not proceed by themselves. */
export interface Stuck {
  /** The project's events that failed repeatedly. */
  readonly failed: readonly WaitingEvents[];
  /** Events that may be the project's: unknown or unreadable. */
  readonly unresolved: readonly WaitingEvents[];
}

const NONE: Stuck = { failed: [], unresolved: [] };

/**
 * The events this migration waits for: the copy's pages have what began before it, events after the deadline are Core's
 * alone, and a comparison finds what a gap covers.
 */
export function findStuck({ replay, migration }: Facts, window: Window): Stuck {
  const { start } = window;
  if (replay.kind !== 'observed' || start === undefined) return NONE;
  const until = endOf(window);
  const begin = Date.parse(start);
  const { gaps } = migration.status;
  const concerns = ({ from: came, isUnreadable }: WaitingEvents) => {
    if (came === undefined) return true;
    if (came + MINUTE_MS <= begin || (came > until && !isUnreadable)) return false;
    return !coversMinute(gaps, { from: isUnreadable ? begin : Math.max(came, begin), came });
  };
  const { failed, unresolved } = replay.project;
  return { failed, unresolved: unresolved.filter(concerns) };
}

export const countEvents = (waiting: readonly WaitingEvents[]): number =>
  waiting.reduce((sum, { events }) => sum + events, 0);

const HOW =
  'set spec.retry to a new text to retry them now, or to drop-<text> to drop them as a gap, which is compared';

/** Says what waits and how to resolve it; undefined when nothing waits. */
export function describeStuck({ failed, unresolved }: Stuck): DecidedCondition<'True'> | undefined {
  if (failed.length > 0) {
    const what = `${countEvents(failed)} events failed repeatedly and are parked${describeSince(failed)}`;
    return conditionTrue('EventsFailed', `${what}: correct the cause (see the appliers' logs), then ${HOW}`);
  }
  if (unresolved.length === 0) return undefined;
  const what = `${countEvents(unresolved)} events of unknown project are parked${describeSince(unresolved)}`;
  return conditionTrue('EventsUnresolved', `${what}: they may belong to this one; ${HOW}`);
}

function describeSince(waiting: readonly WaitingEvents[]): string {
  const times = waiting.flatMap(({ from }) => (from === undefined ? [] : [from]));
  return times.length < waiting.length ? '' : `, the oldest from ${formatTime(times.reduce(earlier))}`;
}

// For `reduce`: there may be more places than `Math.min` takes arguments.
const earlier = (a: number, b: number): number => Math.min(a, b);
const later = (a: number, b: number): number => Math.max(a, b);

interface Window {
  /** When the copy began, and the deadline; RFC 3339. */
  start: string | undefined;
  deadline: string | undefined;
}

/** The gap left by giving up stuck events, at the moment when the token that asks for it is taken. */
export function findDropped(
  { migration, now }: Facts,
  { failed, unresolved }: Stuck,
  window: Window,
  takenRetry: string | undefined,
): CoverageGapFact[] {
  const isNew = takenRetry !== migration.status.observedRetry && isDropToken(takenRetry);
  const all = [...failed, ...unresolved];
  if (!isNew || window.start === undefined || all.length === 0) return [];
  const start = Date.parse(window.start);
  const begin = all.map(({ from, isUnreadable }) => (isUnreadable ? undefined : from) ?? start).reduce(earlier);
  const until = all.map(({ from }) => (from === undefined ? now : from + MINUTE_MS)).reduce(later);
  return [{ from: within(begin, window), until, reason: 'eventsDropped', podName: undefined }];
}

/** Minutes whose events found no room for parking, and were not kept. */
export function findExcess({ replay }: Facts, window: Window): CoverageGapFact[] {
  if (replay.kind !== 'observed') return [];
  const minutes = replay.project.excess.filter((minute) => minute <= endOf(window));
  return minutes.map((minute) => {
    return { from: within(minute, window), until: minute + MINUTE_MS, reason: 'parkingFull', podName: undefined };
  });
}

const endOf = ({ deadline }: Window) => (deadline === undefined ? Number.POSITIVE_INFINITY : Date.parse(deadline));

/** Events at the very deadline belong to the window, but gaps belong to it only while they begin before it. */
const within = (time: number, window: Window) => Math.min(time, endOf(window) - 1000);
