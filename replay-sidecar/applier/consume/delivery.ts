import { createHash } from 'node:crypto';
import {
  type EventTimes,
  parseTime,
  readTimes,
  SENT_HEADER,
  STORED_HEADER,
} from '@edge-migration/contract/event-times.ts';
import { isParked } from '@edge-migration/contract/streams/applier.ts';
import { parseDerivedSubject } from '@edge-migration/contract/streams/events.ts';
import { claimedEvent, unmarkedEvent, type WriteEvent, writeEvent } from '@edge-migration/contract/write-event.ts';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Resolution } from '../resolve/resolver.ts';
import type { InFlightMessage } from './in-flight.ts';

const round = z.int().min(0).max(9);
const after = z.string().max(4000).nullable();

/** Where a fan-out goes on; in the header {@link CURSOR_HEADER}. */
const cursor = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('core'), round, after }),
  z.strictObject({ from: z.literal('edge'), round, after }),
]);
export type Cursor = z.infer<typeof cursor>;
export const CURSOR_HEADER = 'Edge-Migration-Cursor';

/** Marks what appliers made themselves. Everything else in the stream is a claim, whatever its headers say. */
const DERIVED_HEADER = 'Edge-Migration-Derived';

/** A message of one of the streams, with the event in it. */
interface Carrier {
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
  /** When the stream that it is in stored it. */
  readonly time: Date;
}

/** Headers of an event that an applier made; `cursor` makes it a page of a fan-out. */
export function derivedHeaders(cursor: Cursor | undefined): MsgHdrs {
  const fields = headers();
  fields.set(DERIVED_HEADER, 'true');
  if (cursor !== undefined) fields.set(CURSOR_HEADER, JSON.stringify(cursor));
  return fields;
}

/**
 * Set when an event goes on that waited because Edge could not hold its identity. While it is on its way the parking
 * stream may no longer, or by an older look still, list the identity: this event is the list.
 */
const LISTING_HEADER = 'Edge-Migration-Listing';

export function markListing(fields: MsgHdrs): void {
  fields.set(LISTING_HEADER, 'true');
}

export function isListing(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(LISTING_HEADER) === 'true';
}

/**
 * Set when an event was put aside that had been delivered before: whatever it waits for, a write of the process that had
 * it may still be carried out.
 */
const DOUBTED_HEADER = 'Edge-Migration-Doubted';

export function markDoubted(fields: MsgHdrs): void {
  fields.set(DOUBTED_HEADER, 'true');
}

export function isDoubted(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(DOUBTED_HEADER) === 'true';
}

/**
 * Set when an event waits to be looked at again, after it was applied on tables of several regions: it is done with if
 * nothing is left to write then.
 */
const LOOK_HEADER = 'Edge-Migration-Look';

/** Of a look: the region that was found to have what was touched, while another one had not. */
const HELD_IN_HEADER = 'Edge-Migration-Held-In';

export function markLook(fields: MsgHdrs, heldIn?: string): void {
  fields.set(LOOK_HEADER, 'true');
  if (heldIn !== undefined) fields.set(HELD_IN_HEADER, heldIn);
}

export function findHeldIn(carrier: Pick<Carrier, 'subject' | 'headers'>): string | undefined {
  return isLook(carrier) ? carrier.headers?.get(HELD_IN_HEADER) || undefined : undefined;
}

export function isLook(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(LOOK_HEADER) === 'true';
}

/** Set when an event goes on to be tried once more that may come back to its place: it has its room there already. */
const TRIED_HEADER = 'Edge-Migration-Tried';

export function markTried(fields: MsgHdrs): void {
  fields.set(TRIED_HEADER, 'true');
}

export function isTried(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(TRIED_HEADER) === 'true';
}

/** Of a message's headers, those that are the event's own, for when it is published once more: a claim remains one. */
export function keepHeaders(carrier: Carrier): MsgHdrs {
  const fields = headers();
  const kept = isDerived(carrier) ? [DERIVED_HEADER, CURSOR_HEADER] : [SENT_HEADER];
  if (isListing(carrier)) markListing(fields);
  for (const name of kept) {
    const value = carrier.headers?.get(name);
    if (value) fields.set(name, value);
  }
  fields.set(STORED_HEADER, String(storedTime(carrier)));
  return fields;
}

/** When the stream of events had it first: what is put aside, and brought back, is stored again each time. */
export function storedTime(carrier: Carrier): number {
  const first = isOurs(carrier) ? parseTime(carrier.headers?.get(STORED_HEADER)) : undefined;
  return first ?? carrier.time.getTime();
}

/** Sidecars may set any header, but publish to no subject of the appliers (docs/security.md, "Subjects"). */
function isDerived(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(DERIVED_HEADER) === 'true';
}

function isOurs({ subject }: Pick<Carrier, 'subject'>): boolean {
  return parseDerivedSubject(subject) !== undefined || isParked(subject);
}

/** An event in hand. */
export interface Delivery {
  readonly held: InFlightMessage;
  readonly event: WriteEvent;
  /**
   * Milliseconds since the epoch by the stream's clock: when its request began, as far as the event tells, and when its
   * end was seen.
   */
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
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
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

/** Sidecars keep to 64 KB; derived events name the same parts under another target. */
const MOST_BYTES = 96 * 1024;
/** No two clocks differ by more; an event from further ahead would wait in the stream until then. */
const AHEAD_MS = 24 * 60 * 60 * 1000;
/** What clocks of one installation differ by, and a message is under way. */
const RIGHT_MS = 1000;

/**
 * Reads an event and judges each of its fields, so that nothing behind it meets a value that a store refuses: one such
 * value would fail the query of all that are asked for together.
 *
 * @throws UnreadableEventError; its message holds paths and rules, no values
 */
export function readDelivery(held: InFlightMessage): Delivery {
  const { message } = held;
  if (message.data.length > MOST_BYTES) throw new UnreadableEventError(`more than ${MOST_BYTES} bytes`);
  const derived = isDerived(message);
  const claim = isOurs(message) ? unmarkedEvent : claimedEvent;
  const event = parse<WriteEvent>(derived ? writeEvent : claim, parseJson(decodeText(message.data)));
  const times = timesOf(event, message);
  const header = derived ? message.headers?.get(CURSOR_HEADER) : undefined;
  return {
    held,
    event: moveTo(times, event),
    ...times,
    cursor: header ? parse(cursor, parseJson(header)) : undefined,
  };
}

function timesOf({ beganTime, observedTime }: WriteEvent, message: Carrier): EventTimes {
  const observed = Date.parse(observedTime);
  const stored = storedTime(message);
  if (observed > stored + AHEAD_MS) throw new UnreadableEventError('observedTime: more than a day ahead');
  const sent = isDerived(message) ? undefined : parseTime(message.headers?.get(SENT_HEADER));
  return readTimes({ began: Math.min(Date.parse(beganTime ?? observedTime), observed), observed }, sent, stored);
}

/** What follows from an event has its times; those of a clock that is right are left as they are. */
function moveTo({ began, observed }: EventTimes, event: WriteEvent): WriteEvent {
  const isRight = Math.abs(observed - Date.parse(event.observedTime)) < RIGHT_MS;
  if (isRight && Math.abs(began - Date.parse(event.beganTime ?? event.observedTime)) < RIGHT_MS) return event;
  const iso = (time: number) => new Date(time).toISOString();
  return { ...event, beganTime: iso(began), observedTime: iso(observed) };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeText(data: Uint8Array): string {
  try {
    return utf8.decode(data);
  } catch (cause) {
    throw new UnreadableEventError('not UTF-8', { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UnreadableEventError('not JSON', { cause });
  }
}

/** An array of thousands may have thousands of them. */
const MOST_PROBLEMS = 5;

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, MOST_PROBLEMS)
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new UnreadableEventError(problems.join('; '));
}

/** The id of an event that others follow from: the same whenever it is made again. */
export function derivedId(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 43);
}
