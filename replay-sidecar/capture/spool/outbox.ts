import type { Clock } from '@edge-migration/runtime/clock.ts';

import { completeLine, type EncodedEvent } from './draft.ts';
import type { Journal } from './journal.ts';
import type { SerialQueue } from './lane.ts';
import { type Entry, readEntries } from './reader.ts';
import type { EventsRecord } from './record.ts';
import type { SegmentPosition, SpoolSegment } from './segment.ts';
import type { Trust } from './trust.ts';

/** One event to publish. */
export interface OutboxEvent extends EncodedEvent {
  /** When its request began, epoch milliseconds. */
  readonly beganTime: number;
  /** Where it is on disk; undefined for an event that is only in memory. */
  readonly segment: SpoolSegment | undefined;
}

export interface Outbox {
  /**
   * Gives out the events of a record that was just appended at `place`. If it could not be appended, memory keeps them
   * as far as it has room; the caller reports the gap.
   */
  push(place: SegmentPosition | undefined, record: EventsRecord): void;
  /** The next event, in the order of the journal; undefined when none is at hand (see `onReady`). */
  next(): OutboxEvent | undefined;
  /** The stream has it, under this sequence number. */
  acknowledge(delivery: OutboxEvent, sequence: number): void;
  /** Gives out everything still on disk again. Earlier deliveries may still be acknowledged, to no effect. */
  rewind(): void;
  /** All events of the segment were given out and acknowledged. */
  isSettled(segment: SpoolSegment): boolean;
  /** Number of events that are not acknowledged. */
  depth(): number;
  /** When the oldest request with unacknowledged events began; undefined when there is none. */
  oldestTime(): number | undefined;
}

export interface OutboxOptions {
  directory: string;
  clock: Clock;
  trust: Pick<Trust, 'total'>;
  /** Characters of events kept in memory; any excess is read back from disk, or lost if it is not there. */
  capacity: number;
  /** For reading. */
  chores: SerialQueue;
  onReady(): void;
  /** Records on disk cannot be read. */
  onDamage(segment: SpoolSegment, error: unknown): void;
}

/** Below this many events in memory the next chunk is read from disk. */
const LOW_WATER = 256;

/**
 * Hands events to the publisher: straight from memory as long as it keeps up; when it does not (NATS is down), memory
 * holds `capacity` characters and a cursor walks the segments for the rest. So a backlog costs disk, not memory.
 */
export function createOutbox(options: OutboxOptions, journal: Journal): Outbox {
  const { segments } = journal;
  const queue = createQueue<OutboxEvent>();
  /** Given out or queued, not acknowledged. */
  let pending = new Set<OutboxEvent>();
  /** Set while events are on disk that memory has no room for: the first of them is at or behind it. */
  let cursor: SegmentPosition | undefined;
  let reading = false;
  let queued = 0;

  function enqueue(segment: SpoolSegment | undefined, record: EventsRecord): void {
    // Earlier releases marked requests that changed nothing like this among the events.
    if (record.lines === '') return;
    for (const line of record.lines.split('\n')) {
      const event = completeLine(line, record);
      const delivery: OutboxEvent = { ...event, beganTime: record.beganTime, segment };
      if (segment !== undefined) segment.outstanding += 1;
      pending.add(delivery);
      queue.push(delivery);
      queued += event.json.length;
    }
  }

  async function readOn(): Promise<void> {
    if (reading) return;
    reading = true;
    while (cursor !== undefined && queue.length() < LOW_WATER) {
      const place = cursor;
      const entries = await readAt(place);
      // A rewind meanwhile moved the cursor: the same records will be read again.
      if (cursor !== place) continue;
      cursor = placeAfter(place, entries);
      if (entries !== 'unreadable') take(place.segment, entries);
    }
    reading = false;
  }

  /** The entries that can be read there now, or `unreadable`: then the segment's rest is given up. */
  async function readAt({ segment, offset }: SegmentPosition): Promise<Entry[] | 'unreadable'> {
    try {
      if (offset < segment.written) return await readWhole(segment, offset);
      await journal.settled();
      return [];
    } catch (error) {
      damage(segment, error);
      return 'unreadable';
    }
  }

  async function readWhole(segment: SpoolSegment, offset: number): Promise<Entry[]> {
    const entries = await options.chores.run(() => readEntries(options.directory, segment, offset));
    if (entries.length === 0) throw new SpoolDamagedError(segment.number);
    return entries;
  }

  /** Where to continue reading; undefined when memory has caught up with the journal. */
  function placeAfter(
    { segment, offset }: SegmentPosition,
    entries: Entry[] | 'unreadable',
  ): SegmentPosition | undefined {
    const end = entries === 'unreadable' ? Infinity : (entries.at(-1)?.end ?? offset);
    if (end < segment.appended) return { segment, offset: end };
    const next = segments.find((other) => other.kind === 'events' && other.number > segment.number);
    return next && { segment: next, offset: 0 };
  }

  function damage(segment: SpoolSegment, error: unknown): void {
    if (segment.damaged) return;
    segment.damaged = true;
    options.onDamage(segment, error);
  }

  function take(segment: SpoolSegment, entries: readonly Entry[]): void {
    for (const { record } of entries) {
      if (record === undefined) damage(segment, new SpoolDamagedError(segment.number));
      else if (record.kind === 'events') enqueue(segment, record);
    }
    if (queue.length() > 0) options.onReady();
  }

  return {
    push(place, record) {
      if (queued >= options.capacity) {
        if (place === undefined) return;
        cursor ??= place;
      } else if (cursor === undefined || place === undefined) {
        enqueue(place?.segment, record);
      }
      options.onReady();
    },
    next() {
      const delivery = queue.shift();
      queued -= delivery?.json.length ?? 0;
      if (cursor !== undefined) void readOn();
      return delivery;
    },
    acknowledge(delivery, sequence) {
      if (!pending.delete(delivery) || delivery.segment === undefined) return;
      delivery.segment.outstanding -= 1;
      delivery.segment.acknowledged += 1;
      delivery.segment.lastAckTime = options.clock.now();
      delivery.segment.lastAckTrust = options.trust.total();
      delivery.segment.sequence = Math.max(delivery.segment.sequence, sequence);
    },
    rewind() {
      const loose = [...pending].filter((delivery) => delivery.segment === undefined);
      pending = new Set(loose);
      queue.clear();
      queued = 0;
      for (const delivery of loose) {
        queue.push(delivery);
        queued += delivery.json.length;
      }
      for (const segment of segments) {
        segment.outstanding = 0;
        segment.acknowledged = 0;
      }
      const first = segments.find(({ kind }) => kind === 'events');
      cursor = first && { segment: first, offset: 0 };
      if (loose.length > 0) options.onReady();
      void readOn();
    },
    isSettled: (segment) =>
      segment.outstanding === 0 && (cursor === undefined || cursor.segment.number > segment.number),
    depth() {
      let loose = 0;
      for (const delivery of pending) if (delivery.segment === undefined) loose += 1;
      return segments.reduce((sum, segment) => sum + Math.max(0, segment.events - segment.acknowledged), loose);
    },
    oldestTime() {
      let oldest = Infinity;
      for (const delivery of pending) oldest = Math.min(oldest, delivery.beganTime);
      for (const segment of segments) {
        if (cursor !== undefined && segment.number >= cursor.segment.number && segment.events > 0) {
          oldest = Math.min(oldest, segment.firstTime);
        }
      }
      return oldest === Infinity ? undefined : oldest;
    },
  };
}

/** Bytes in a segment are not records (any more). */
class SpoolDamagedError extends Error {
  override readonly name = 'SpoolDamagedError';
  constructor(segment: number) {
    super(`Segment ${segment} has bytes that are no records`);
  }
}

/** First in, first out; `Array.shift` moves the whole array. */
function createQueue<T>() {
  let items: T[] = [];
  let head = 0;
  return {
    length: () => items.length - head,
    push: (item: T) => void items.push(item),
    shift(): T | undefined {
      const item = items[head];
      if (item === undefined) return undefined;
      head += 1;
      if (head > 1024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    clear() {
      items = [];
      head = 0;
    },
  };
}
