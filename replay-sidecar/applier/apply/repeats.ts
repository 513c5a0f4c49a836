import { afterRequestMs } from '@edge-migration/contract/api-timeout.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';

/** Flagsmith's background tasks are over by then. */
const AFTER_TASKS_MS = 605_000;

/** When events are handled more than once. Pure and stateless: an event stays until it was handled the last time. */
export interface Repeats {
  /**
   * When, in milliseconds since the epoch, an event that was handled at `now` is to be handled again; undefined: it is
   * done.
   */
  next(event: WriteEvent, observedTime: number, now: number): number | undefined;
  /** How many of these times have passed at `now`, at first 0. The ids of derived events depend on it. */
  round(event: WriteEvent, observedTime: number, now: number): number;
}

/**
 * Events about a whole environment are always handled again: environment names are cached for less time than that. So
 * are a new name of an identity and an override that an identity has received: a request that looked it up by its
 * former name may still delete it.
 */
export function createRepeats(apiTimeoutSeconds: number): Repeats {
  const afterRequest = afterRequestMs(apiTimeoutSeconds);

  function dues({ outcome, target, touched }: WriteEvent, observedTime: number): number[] {
    const { kind } = target;
    const isWide = kind !== 'identity' && kind !== 'identityId' && kind !== 'featureState';
    const isMoved = touched.moved || (kind === 'featureState' && target.moved);
    if (outcome === 'background') return [observedTime + afterRequest, observedTime + AFTER_TASKS_MS];
    return outcome === 'unknown' || isWide || isMoved ? [observedTime + afterRequest] : [];
  }

  return {
    next: (event, observedTime, now) => dues(event, observedTime).find((due) => due > now),
    round: (event, observedTime, now) => dues(event, observedTime).filter((due) => due <= now).length,
  };
}
