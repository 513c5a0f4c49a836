import type { Journal } from './journal.ts';
import type { SerialQueue } from './lane.ts';
import { type Entry, readEntries } from './reader.ts';
import type { EventsRecord } from './record.ts';
import type { SegmentPosition, SpoolSegment } from './segment.ts';

export interface BacklogOptions {
  directory: string;
  /** For reading. */
  chores: SerialQueue;
  /** Takes the records of events that were read at one place. */
  onRecords(segment: SpoolSegment, records: readonly EventsRecord[]): void;
  /** There is memory for more. */
  hasRoom(): boolean;
  /** Records on disk cannot be read. */
  onDamage(segment: SpoolSegment, error: unknown): void;
}

/** Events on disk that memory has no room for: a cursor walks the segments and reads them back. */
export class Backlog {
  private readonly options: BacklogOptions;
  private readonly journal: Pick<Journal, 'segments' | 'settled'>;
  /** The first of the events is at or behind it; undefined if memory has all of them. */
  private cursor: SegmentPosition | undefined;
  private isReading = false;

  constructor(options: BacklogOptions, journal: Pick<Journal, 'segments' | 'settled'>) {
    this.options = options;
    this.journal = journal;
  }

  get isEmpty(): boolean {
    return this.cursor === undefined;
  }

  /** Events of this segment, or of ones before it, may have to be read. */
  reaches({ number }: SpoolSegment): boolean {
    return this.cursor !== undefined && this.cursor.segment.number <= number;
  }

  /** From this place on, events are to be read, unless that holds for an earlier one. */
  beginAt(place: SegmentPosition): void {
    this.cursor ??= place;
  }

  /** All events on disk are to be read. */
  rewind(): void {
    const first = this.journal.segments.find(({ kind }) => kind === 'events');
    this.cursor = first && { segment: first, offset: 0 };
  }

  /** Reads while there is room. Never rejects. */
  async readOn(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    while (this.cursor !== undefined && this.options.hasRoom()) {
      const place: SegmentPosition = this.cursor;
      const entries = await this.readAt(place);
      // A rewind meanwhile moved the cursor: the same records will be read again.
      if (this.cursor !== place) continue;
      this.cursor = this.placeAfter(place, entries);
      if (entries !== 'unreadable') this.take(place.segment, entries);
    }
    this.isReading = false;
  }

  /** The entries that can be read there now, or `unreadable`: then the segment's rest is given up. */
  private async readAt({ segment, offset }: SegmentPosition): Promise<Entry[] | 'unreadable'> {
    try {
      if (offset < segment.written) return await this.readWhole(segment, offset);
      await this.journal.settled();
      return [];
    } catch (error) {
      this.damage(segment, error);
      return 'unreadable';
    }
  }

  private async readWhole(segment: SpoolSegment, offset: number): Promise<Entry[]> {
    const { chores, directory } = this.options;
    const entries = await chores.run(() => readEntries(directory, segment, offset));
    if (entries.length === 0) throw new SpoolDamagedError(segment.number);
    return entries;
  }

  /** Where to continue reading; undefined when memory has caught up with the journal. */
  private placeAfter(
    { segment, offset }: SegmentPosition,
    entries: Entry[] | 'unreadable',
  ): SegmentPosition | undefined {
    const end = entries === 'unreadable' ? Infinity : (entries.at(-1)?.end ?? offset);
    if (end < segment.appended) return { segment, offset: end };
    const next = this.journal.segments.find((other) => other.kind === 'events' && other.number > segment.number);
    return next && { segment: next, offset: 0 };
  }

  private take(segment: SpoolSegment, entries: readonly Entry[]): void {
    const records: EventsRecord[] = [];
    for (const { record } of entries) {
      if (record === undefined) this.damage(segment, new SpoolDamagedError(segment.number));
      else if (record.kind === 'events') records.push(record);
    }
    this.options.onRecords(segment, records);
  }

  private damage(segment: SpoolSegment, error: unknown): void {
    if (segment.damaged) return;
    segment.damaged = true;
    this.options.onDamage(segment, error);
  }
}

/** Bytes in a segment are not records (any more). */
class SpoolDamagedError extends Error {
  override readonly name = 'SpoolDamagedError';
  constructor(segment: number) {
    super(`Segment ${segment} has bytes that are no records`);
  }
}
