import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { type Cursor, derivedId, type Work } from '../consume/delivery.ts';

/** Makes an event the next page of a fan-out. */
export interface NextPage {
  readonly cursor: Cursor;
  /** By which the stream knows it when it is published once more. */
  readonly id: string;
}

/**
 * The same when the message is delivered once more. Another message with the event begins from the front, as when it has
 * waited for the end of the copy, and must not be cut short because the stream still knows the pages of the first time.
 */
export function nextPage({ event, held }: Work, cursor: Cursor): NextPage {
  return { cursor, id: derivedId(event.id, held.message.seq, JSON.stringify(cursor)) };
}

/** What names a former key is about the documents under the present one, too. */
export function followersOf({ event, resolution, cursor }: Work): WriteEvent[] {
  const { kind } = resolution;
  if ((kind !== 'identity' && kind !== 'environment') || !resolution.isFormer || cursor !== undefined) return [];
  const environment = { environmentId: resolution.environment.id };
  const target = kind === 'identity' ? { kind, environment, identifier: resolution.identifier } : { kind, environment };
  return [{ ...event, id: derivedId(event.id, 'present key'), target, outcome: atLeastTwice(event) }];
}

/** Whether the identity is there is all that an event about another environment can say. */
export function toHolder({ event, resolution }: Work, environmentId: number): WriteEvent {
  const identifier = resolution.kind === 'identity' ? resolution.identifier : '';
  const target = { kind: 'identity', environment: { environmentId }, identifier } as const;
  const touched = { traits: [], overrides: [] };
  return { ...event, id: derivedId(event.id, 'holder', environmentId), target, touched, outcome: atLeastTwice(event) };
}

/**
 * Flagsmith's processes go by a former key for some seconds more. When the event itself is handled again, what follows
 * from it is a duplicate for the stream.
 */
function atLeastTwice({ outcome }: WriteEvent): WriteEvent['outcome'] {
  return outcome === 'known' ? 'unknown' : outcome;
}
