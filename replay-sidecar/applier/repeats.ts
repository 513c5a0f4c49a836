import type { WriteEvent } from '@edge-migration/identity/write-event.ts';

/** After the API's request timeout; with what clocks of different nodes may differ by. */
export const AFTER_REQUEST_MILLIS = 65_000;
/** Flagsmith's background tasks are over by then. */
const AFTER_TASKS_MILLIS = 605_000;

/**
 * When, in milliseconds since the epoch, an event is to be handled once more, after it was handled at `now`; undefined:
 * it is done with. Pure, and no state is kept: the event stays in the stream until it was handled after its last time.
 *
 * What concerns a whole environment is always handled again: names of environments are cached for less than that. So is
 * the name that an identity has got, and the identity that an override has got: a request that had looked it up by its
 * former one may still delete it.
 */
export function nextHandling(event: WriteEvent, observedTime: number, now: number): number | undefined {
  return dues(event, observedTime).find((due) => due > now);
}

/** How many of these times have passed at `now`: 0 at first. Ids of what the event is fanned out into differ by it. */
export function roundOf(event: WriteEvent, observedTime: number, now: number): number {
  return dues(event, observedTime).filter((due) => due <= now).length;
}

function dues({ outcome, target, touched }: WriteEvent, observedTime: number): number[] {
  const { kind } = target;
  const isWide = kind !== 'identity' && kind !== 'identityId' && kind !== 'featureState';
  const isMoved = touched.moved || (kind === 'featureState' && target.moved);
  if (outcome === 'background') return [observedTime + AFTER_REQUEST_MILLIS, observedTime + AFTER_TASKS_MILLIS];
  return outcome === 'unknown' || isWide || isMoved ? [observedTime + AFTER_REQUEST_MILLIS] : [];
}
