import { afterRequestMs } from '@edge-migration/contract/api-timeout.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';

/** Flagsmith's background tasks are over by then. */
const AFTER_TASKS_MS = 605_000;

/** When events are handled more than once. Pure, and no state is kept: an event stays until it was handled after its last time. */
export interface Repeats {
  /**
   * When, in milliseconds since the epoch, an event is to be handled once more, after it was handled at `now`; undefined:
   * it is done with.
   */
  next(event: WriteEvent, observedTime: number, now: number): number | undefined;
  /** How many of these times have passed at `now`: 0 at first. Ids of what the event is fanned out into differ by it. */
  round(event: WriteEvent, observedTime: number, now: number): number;
}

/**
 * What concerns a whole environment is always handled again: names of environments are cached for less than that. So is
 * the name that an identity has got, and the identity that an override has got: a request that had looked it up by its
 * former one may still delete it.
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
