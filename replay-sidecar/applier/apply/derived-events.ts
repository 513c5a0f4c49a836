import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { type Cursor, derivedId, type Work } from '../consume/delivery.ts';

/** Makes an event the next page of a fan-out. */
export interface NextPage {
  readonly cursor: Cursor;
  /** The stream knows it by this id when it is published again. */
  readonly id: string;
}

/**
 * The same on redelivery. Another message with the event starts from the beginning, as after waiting for the end of the
 * copy, and must not be cut short because the stream still knows the pages of the first run.
 */
export function nextPage({ event, held }: Work, cursor: Cursor): NextPage {
  return { cursor, id: derivedId(event.id, held.message.seq, JSON.stringify(cursor)) };
}

/** An event that names a former key is also about the documents under the present one. */
export function followersOf({ event, resolution, cursor }: Work): WriteEvent[] {
  const { kind } = resolution;
  if ((kind !== 'identity' && kind !== 'environment') || !resolution.isFormer || cursor !== undefined) return [];
  const environment = { environmentId: resolution.environment.id };
  const target = kind === 'identity' ? { kind, environment, identifier: resolution.identifier } : { kind, environment };
  return [{ ...event, id: derivedId(event.id, 'present key'), target, outcome: atLeastTwice(event) }];
}

/** An event about another environment can only say whether the identity is there. */
export function toHolder({ event, resolution }: Work, environmentId: number): WriteEvent {
  const identifier = resolution.kind === 'identity' ? resolution.identifier : '';
  const target = { kind: 'identity', environment: { environmentId }, identifier } as const;
  const touched = { traits: [], overrides: [] };
  return { ...event, id: derivedId(event.id, 'holder', environmentId), target, touched, outcome: atLeastTwice(event) };
}

/**
 * Flagsmith's processes use a former key for some seconds more. When the event itself is handled again, the stream
 * treats its derived events as duplicates.
 */
function atLeastTwice({ outcome }: WriteEvent): WriteEvent['outcome'] {
  return outcome === 'known' ? 'unknown' : outcome;
}
