import type { WriteEvent } from '@edge-migration/contract/write-event.ts';

/** The route table's knowledge of one write before the API answers; the spool adds the rest. */
export type DraftEvent = Pick<WriteEvent, 'target' | 'touched' | 'traitGates' | 'route'>;

/** Far below NATS's default limit of 1 MiB a message, and small enough that an applier's batch stays small. */
export const MAX_EVENT_BYTES = 64 * 1024;

/** Room for outcome and times when the event is completed. */
const COMPLETION_BYTES = 128;

/** The draft names too much for one event; its creator splits it or widens what it touches. */
export class EventTooLargeError extends Error {
  override readonly name = 'EventTooLargeError';
  readonly bytes: number;
  readonly route: string;
  constructor(bytes: number, route: string) {
    super(`An event of route ${route} takes ${bytes} bytes, ${MAX_EVENT_BYTES} are allowed`);
    this.bytes = bytes;
    this.route = route;
  }
}

/**
 * A draft as one line of text: its id, a space, and the event's JSON without outcome, times and closing brace. It is
 * serialised once; {@link completeLine} appends the rest when the response is known. JSON text holds no raw line
 * feed, so lines are joined by line feeds in the spool.
 *
 * @throws EventTooLargeError when the completed event would exceed {@link MAX_EVENT_BYTES}
 */
export function encodeLine(id: string, instance: string, draft: DraftEvent): string {
  const event: Omit<WriteEvent, 'outcome' | 'beganTime' | 'observedTime'> = { version: 1, id, instance, ...draft };
  const json = JSON.stringify(event);
  // A UTF-16 unit takes at most three bytes: most lines need no count.
  if (json.length * 3 > MAX_EVENT_BYTES - COMPLETION_BYTES) {
    const bytes = Buffer.byteLength(json) + COMPLETION_BYTES;
    if (bytes > MAX_EVENT_BYTES) throw new EventTooLargeError(bytes, draft.route);
  }
  return `${id} ${json.slice(0, -1)}`;
}

/** The event that goes into the stream, as JSON, and its `Nats-Msg-Id`. */
export interface EncodedEvent {
  id: string;
  json: string;
}

/** The shared parts of a record's lines; times in milliseconds since the epoch. */
export interface Completion {
  outcome: WriteEvent['outcome'];
  beganTime: number;
  observedTime: number;
}

export function completeLine(line: string, { outcome, beganTime, observedTime }: Completion): EncodedEvent {
  const space = line.indexOf(' ');
  const [began, observed] = [new Date(beganTime).toISOString(), new Date(observedTime).toISOString()];
  return {
    id: line.slice(0, space),
    json: `${line.slice(space + 1)},"outcome":"${outcome}","beganTime":"${began}","observedTime":"${observed}"}`,
  };
}
