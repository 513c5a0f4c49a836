import { createHash } from 'node:crypto';
import {
  type EventTimes,
  parseHeaderTime,
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

/** Where a fan-out continues; in the header {@link CURSOR_HEADER}. */
const cursor = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('core'), round, after }),
  z.strictObject({ from: z.literal('edge'), round, after }),
]);
export type Cursor = z.infer<typeof cursor>;
export const CURSOR_HEADER = 'Edge-Migration-Cursor';

/** Marks what appliers made themselves. Everything else in the stream is a claim, regardless of its headers. */
const DERIVED_HEADER = 'Edge-Migration-Derived';

/** A message of one of the streams that carries an event. */
interface Carrier {
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
  /** When its current stream stored it. */
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
 * Set when an event that waited because Edge could not hold its identity goes on. While it is on its way the parking
 * stream may no longer list the identity, or may still list it by an older comparison: this event is the list.
 */
const LISTING_HEADER = 'Edge-Migration-Listing';

export function markListing(fields: MsgHdrs): void {
  fields.set(LISTING_HEADER, 'true');
}

export function isListing(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(LISTING_HEADER) === 'true';
}

/**
 * Set when an event is parked that had been delivered before: regardless of why it waits, a write of the process that
 * had it may still be carried out.
 */
const DOUBTED_HEADER = 'Edge-Migration-Doubted';

export function markDoubted(fields: MsgHdrs): void {
  fields.set(DOUBTED_HEADER, 'true');
}

export function isDoubted(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(DOUBTED_HEADER) === 'true';
}

/**
 * Set when an event waits for a recheck after it was applied on tables of several regions: it is done if nothing is
 * left to write then.
 */
const RECHECK_HEADER = 'Edge-Migration-Recheck';
/** The same of appliers of earlier releases, which may have parked events for minutes. */
const FORMER_RECHECK_HEADER = 'Edge-Migration-Look';

/** For a recheck: the region that was found to have what was touched, while another one did not. */
const HELD_IN_HEADER = 'Edge-Migration-Held-In';

/** For a recheck: when the event was first applied, by the stream's clock. */
const APPLIED_HEADER = 'Edge-Migration-Applied';

export function markRecheck(fields: MsgHdrs, heldIn?: string, appliedTime?: number): void {
  fields.set(RECHECK_HEADER, 'true');
  if (heldIn !== undefined) fields.set(HELD_IN_HEADER, heldIn);
  if (appliedTime !== undefined) fields.set(APPLIED_HEADER, String(Math.floor(appliedTime)));
}

/** A recheck that goes elsewhere before it was made remains one. */
export function keepRecheck(carrier: Pick<Carrier, 'subject' | 'headers'>, fields: MsgHdrs): void {
  if (isRecheck(carrier)) markRecheck(fields, findHeldIn(carrier), findAppliedTime(carrier));
}

/** Milliseconds since the epoch; undefined if an earlier release has parked it. */
export function findAppliedTime(carrier: Pick<Carrier, 'subject' | 'headers'>): number | undefined {
  return isRecheck(carrier) ? parseHeaderTime(carrier.headers?.get(APPLIED_HEADER)) : undefined;
}

export function findHeldIn(carrier: Pick<Carrier, 'subject' | 'headers'>): string | undefined {
  return isRecheck(carrier) ? carrier.headers?.get(HELD_IN_HEADER) || undefined : undefined;
}

export function isRecheck(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  const isSet = (name: string) => carrier.headers?.get(name) === 'true';
  return isOurs(carrier) && (isSet(RECHECK_HEADER) || isSet(FORMER_RECHECK_HEADER));
}

/** Set when an event that may come back to its place goes on for another try: it already has its room there. */
const TRIED_HEADER = 'Edge-Migration-Tried';

export function markTried(fields: MsgHdrs): void {
  fields.set(TRIED_HEADER, 'true');
}

export function isTried(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(TRIED_HEADER) === 'true';
}

/** The event's own headers among a message's, for publishing it again: a claim remains one. */
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

/** When the stream of events first had it: parking it and bringing it back stores it again each time. */
export function storedTime(carrier: Carrier): number {
  const first = isOurs(carrier) ? parseHeaderTime(carrier.headers?.get(STORED_HEADER)) : undefined;
  return first ?? carrier.time.getTime();
}

/** Sidecars may set any header, but publish to no subject of the appliers (docs/security.md, "Subjects"). */
function isDerived(carrier: Pick<Carrier, 'subject' | 'headers'>): boolean {
  return isOurs(carrier) && carrier.headers?.get(DERIVED_HEADER) === 'true';
}

function isOurs({ subject }: Pick<Carrier, 'subject'>): boolean {
  return parseDerivedSubject(subject) !== undefined || isParked(subject);
}

/** An event in flight. */
export interface Delivery {
  readonly held: InFlightMessage;
  readonly event: WriteEvent;
  /**
   * Milliseconds since the epoch by the stream's clock: when its request began, as far as the event says, and when its
   * end was seen.
   */
  readonly began: number;
  readonly observed: number;
  /** Set on every page of a fan-out except the first. */
  readonly cursor: Cursor | undefined;
}

/** An event whose project is known. */
export interface Work extends Delivery {
  readonly resolution: Extract<Resolution, { projectId: number }>;
}

/** The message is not an event of ours; it can never be handled. */
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
}

const CLIENT_KEY = Buffer.from('"clientKey":"');
const QUOTE = 0x22;

/**
 * The client key that an event names, without reading the event: parsing it is half of what a dropped one would cost.
 * JSON escapes quotes within a string, so what looks like the key's name is one. Undefined when there is none, or when
 * it contains escapes itself.
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

/** Sidecars stay within 64 KB; derived events name the same parts under another target. */
const MOST_BYTES = 96 * 1024;
/** No two clocks differ by more; an event from further ahead would wait in the stream until then. */
const AHEAD_MS = 24 * 60 * 60 * 1000;
/** Covers the clock differences within one installation, plus a message's transit time. */
const RIGHT_MS = 1000;

/**
 * Reads an event and checks each of its fields, so that later steps meet no value that a store refuses: one such value
 * would fail the query for all that are batched with it.
 *
 * @throws UnreadableEventError; its message holds paths and rules, no values
 */
export function readDelivery(held: InFlightMessage): Delivery {
  const { message, data } = held;
  if (data.length > MOST_BYTES) throw new UnreadableEventError(`more than ${MOST_BYTES} bytes`);
  const derived = isDerived(message);
  const claim = isOurs(message) ? unmarkedEvent : claimedEvent;
  const event = parse<WriteEvent>(derived ? writeEvent : claim, parseJson(decodeText(data)));
  const observed = Date.parse(event.observedTime);
  const said = { began: event.beganTime === undefined ? observed : Date.parse(event.beganTime), observed };
  const times = timesOf(said, message);
  const header = derived ? message.headers?.get(CURSOR_HEADER) : undefined;
  return {
    held,
    event: moveTo(times, said, event),
    ...times,
    cursor: header ? parse(cursor, parseJson(header)) : undefined,
  };
}

/** @param said by the event itself */
function timesOf({ began, observed }: EventTimes, message: Carrier): EventTimes {
  const stored = storedTime(message);
  if (observed > stored + AHEAD_MS) throw new UnreadableEventError('observedTime: more than a day ahead');
  const sent = isDerived(message) ? undefined : parseHeaderTime(message.headers?.get(SENT_HEADER));
  return readTimes({ began: Math.min(began, observed), observed }, sent, stored);
}

/** A derived event has its times; those from a correct clock are left unchanged. */
function moveTo({ began, observed }: EventTimes, said: EventTimes, event: WriteEvent): WriteEvent {
  if (Math.abs(observed - said.observed) < RIGHT_MS && Math.abs(began - said.began) < RIGHT_MS) return event;
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

/** An array of thousands may have thousands of problems. */
const MOST_PROBLEMS = 5;

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, MOST_PROBLEMS)
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new UnreadableEventError(problems.join('; '));
}

/** The id of an event that is derived from others: the same each time it is made. */
export function derivedId(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 43);
}
