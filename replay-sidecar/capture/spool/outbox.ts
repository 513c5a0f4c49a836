import type { Clock } from '@edge-migration/runtime/clock.ts';
import { Backlog } from './backlog.ts';
import { completeLine, type EncodedEvent } from './draft.ts';
import { EventQueue } from './event-queue.ts';
import type { Journal } from './journal.ts';
import type { SerialQueue } from './lane.ts';
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

export interface OutboxOptions {
  directory: string;
  clock: Clock;
  trust: Pick<Trust, 'total'>;
  /** Characters of events kept in memory; any excess is read back from disk, or lost if it is not there. */
  capacity: number;
  /** For reading. */
  chores: SerialQueue;
  /** There may be something for {@link Outbox.next}. */
  onReady(): void;
  /** Records on disk cannot be read. */
  onDamage(segment: SpoolSegment, error: unknown): void;
}

/** Below this many events in memory the next chunk is read from disk. */
const LOW_WATER = 256;

/**
 * Hands events to the publisher: straight from memory as long as it keeps up; when it does not (NATS is down), memory
 * holds `capacity` characters and the backlog is read back for the rest. So it costs disk, not memory.
 */
export class Outbox {
  private readonly options: OutboxOptions;
  private readonly journal: Pick<Journal, 'segments'>;
  private readonly queue = new EventQueue();
  private readonly backlog: Backlog;
  /** Given out or queued, not acknowledged. */
  private pending = new Set<OutboxEvent>();

  constructor(options: OutboxOptions, journal: Journal) {
    const { directory, chores, onDamage } = options;
    this.options = options;
    this.journal = journal;
    this.backlog = new Backlog(
      {
        ...{ directory, chores },
        hasRoom: () => this.queue.length < LOW_WATER,
        onRecords: (segment, records) => this.takeBack(segment, records),
        onDamage: (segment, error) => onDamage(segment, error),
      },
      journal,
    );
  }

  /**
   * Gives out the events of a record that was just appended at `place`. If it could not be appended, memory keeps them
   * as far as it has room; the caller reports the gap.
   */
  push(place: SegmentPosition | undefined, record: EventsRecord): void {
    if (this.queue.characters >= this.options.capacity) {
      if (place === undefined) return;
      this.backlog.beginAt(place);
    } else if (this.backlog.isEmpty || place === undefined) {
      this.enqueue(place?.segment, record);
    }
    this.options.onReady();
  }

  /** The next event, in the order of the journal; undefined when none is at hand (see `onReady`). */
  next(): OutboxEvent | undefined {
    const delivery = this.queue.shift();
    if (!this.backlog.isEmpty) void this.backlog.readOn();
    return delivery;
  }

  /** The stream has it, under this sequence number. */
  acknowledge(delivery: OutboxEvent, sequence: number): void {
    const { segment } = delivery;
    if (!this.pending.delete(delivery) || segment === undefined) return;
    segment.outstanding -= 1;
    segment.acknowledged += 1;
    segment.lastAckTime = this.options.clock.now();
    segment.lastAckTrust = this.options.trust.total();
    segment.sequence = Math.max(segment.sequence, sequence);
  }

  /** Gives out everything still on disk again. Earlier deliveries may still be acknowledged, to no effect. */
  rewind(): void {
    const loose = [...this.pending].filter((delivery) => delivery.segment === undefined);
    this.pending = new Set(loose);
    this.queue.clear();
    for (const delivery of loose) this.queue.push(delivery);
    for (const segment of this.journal.segments) {
      segment.outstanding = 0;
      segment.acknowledged = 0;
    }
    this.backlog.rewind();
    if (loose.length > 0) this.options.onReady();
    void this.backlog.readOn();
  }

  /** All events of the segment were given out and acknowledged. */
  isSettled(segment: SpoolSegment): boolean {
    return segment.outstanding === 0 && !this.backlog.reaches(segment);
  }

  /** Number of events that are not acknowledged. */
  depth(): number {
    let loose = 0;
    for (const delivery of this.pending) if (delivery.segment === undefined) loose += 1;
    return this.journal.segments.reduce(
      (sum, segment) => sum + Math.max(0, segment.events - segment.acknowledged),
      loose,
    );
  }

  /** When the oldest request with unacknowledged events began; undefined when there is none. */
  oldestTime(): number | undefined {
    let oldest = Infinity;
    for (const delivery of this.pending) oldest = Math.min(oldest, delivery.beganTime);
    for (const segment of this.journal.segments) {
      if (segment.events > 0 && this.backlog.reaches(segment)) oldest = Math.min(oldest, segment.firstTime);
    }
    return oldest === Infinity ? undefined : oldest;
  }

  private takeBack(segment: SpoolSegment, records: readonly EventsRecord[]): void {
    for (const record of records) this.enqueue(segment, record);
    if (this.queue.length > 0) this.options.onReady();
  }

  private enqueue(segment: SpoolSegment | undefined, record: EventsRecord): void {
    // Earlier releases marked requests that changed nothing like this among the events.
    if (record.lines === '') return;
    for (const line of record.lines.split('\n')) {
      const event = completeLine(line, record);
      const delivery: OutboxEvent = { ...event, beganTime: record.beganTime, segment };
      if (segment !== undefined) segment.outstanding += 1;
      this.pending.add(delivery);
      this.queue.push(delivery);
    }
  }
}
