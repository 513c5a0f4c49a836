import { createHash } from 'node:crypto';
import { type WriteEvent, writeEvent } from '@edge-migration/identity/write-event.ts';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Held } from './inbox.ts';
import type { Resolution } from './resolve.ts';

/** Where a fan-out goes on; in the header {@link CURSOR_HEADER}. */
export const cursor = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('core'), round: z.int(), after: z.string().nullable() }),
  z.strictObject({ from: z.literal('edge'), round: z.int(), after: z.string().nullable() }),
]);
export type Cursor = z.infer<typeof cursor>;
export const CURSOR_HEADER = 'Edge-Migration-Cursor';

/** Of a message's headers, those that are the event's own, for when it is published once more. */
export function keepHeaders(from: MsgHdrs | undefined): MsgHdrs {
  const fields = headers();
  const cursor = from?.get(CURSOR_HEADER);
  if (cursor) fields.set(CURSOR_HEADER, cursor);
  return fields;
}

/** An event in hand. */
export interface Delivery {
  readonly held: Held;
  readonly event: WriteEvent;
  /** Milliseconds since the epoch: when its request began, as far as the event tells, and when its end was seen. */
  readonly began: number;
  readonly observed: number;
  /** Of a page of a fan-out other than the first. */
  readonly cursor: Cursor | undefined;
}

/** An event whose project is known. */
export interface Work extends Delivery {
  readonly resolution: Extract<Resolution, { projectId: number }>;
}

/** The message is no event of ours; it can never be handled. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent';
}

const CLIENT_KEY = Buffer.from('"clientKey":"');
const QUOTE = 0x22;

/**
 * The client key that an event names, without reading the event: parsing it is half of what a dropped one would cost.
 * Within a string of JSON quotes are escaped, so what looks like the key's name is one. Undefined when there is none, or
 * when it has escapes itself.
 */
export function findClientKey(data: Uint8Array): string | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const found = bytes.indexOf(CLIENT_KEY);
  if (found < 0) return undefined;
  const start = found + CLIENT_KEY.length;
  const end = bytes.indexOf(QUOTE, start);
  const key = end < 0 ? undefined : bytes.toString('utf8', start, end);
  return key?.includes('\\') ? undefined : key;
}

/** @throws UnreadableEvent; its message holds paths and rules, no values */
export function readDelivery(held: Held): Delivery {
  const event = parse(writeEvent, parseJson(held.message.string()));
  const header = held.message.headers?.get(CURSOR_HEADER);
  return {
    held,
    event,
    began: Math.min(Date.parse(event.beganTime ?? event.observedTime), Date.parse(event.observedTime)),
    observed: Date.parse(event.observedTime),
    cursor: header === undefined || header === '' ? undefined : parse(cursor, parseJson(header)),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UnreadableEvent('not JSON', { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new UnreadableEvent(problems.join('; '), { cause: result.error });
}

/** The id of an event that others follow from: the same whenever it is made again. */
export function derivedId(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 43);
}
