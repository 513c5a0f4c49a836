import type { Clock } from '@edge-migration/identity/clock.ts';

import { createDisk, type SyncPolicy } from './disk.ts';
import { encodeRecord, type SpoolRecord, worstCaseBytes } from './record.ts';
import { newSegment, type Place, type Segment } from './segment.ts';

export interface JournalOptions {
  directory: string;
  clock: Clock;
  /** The node's boot, which goes into each segment; known from the start on. */
  bootId(): string;
  /** A segment is sealed at this size, */
  segmentBytes: number;
  /** or at this age, so that it can be removed soon after its events are settled. */
  segmentMillis: number;
  /** A request waits no longer than this for its intent. */
  writeTimeoutMillis: number;
  sync: SyncPolicy;
  /** Records appended since `from` (epoch milliseconds) may not be on the disk, nor those until recovery. */
  onFailure(error: unknown, from: number): void;
  /** Writing works again. */
  onRecovery(): void;
}

export interface Journal {
  /**
   * Begins; until then nothing is taken.
   *
   * @param existing what earlier processes left in the directory, sealed, oldest first
   */
  start(existing: readonly Segment[]): void;
  /** All segments that have or may have a file, oldest first. */
  readonly segments: Segment[];
  /** Adds a record to the next write; undefined while the disk does not work: the record is not kept then. */
  append(record: SpoolRecord): Place | undefined;
  /** True once everything appended so far is in the file; false when that failed or took too long. Never rejects. */
  commit(): Promise<boolean>;
  /** Resolves at the end of the write that is under way or due, however long it takes. */
  settled(): Promise<void>;
  /** Seals an old segment, forces bytes to the disk, tries a failed disk again. To be called every second or so. */
  tick(): Promise<void>;
  /** Deletes a sealed segment's file. */
  remove(segment: Segment): Promise<void>;
  /** Writes what was appended and closes the files. */
  close(): Promise<void>;
}

interface Batch {
  segment: Segment;
  buffer: Buffer;
  length: number;
  since: number;
  waiting: ((durable: boolean) => void)[];
}

/** Records that nobody waits for are written with the next ones that somebody does, or after this. */
const LAZY_MILLIS = 10;
const RETRY_MILLIS = 1000;
const FIRST_BATCH_BYTES = 16 * 1024;
const LARGEST_SPARE_BYTES = 256 * 1024;

/**
 * Appends records to segment files, one write at a time: what arrives during an event-loop turn, or while the last
 * write is under way, goes out together.
 */
export function createJournal(options: JournalOptions): Journal {
  const { clock } = options;
  const segments: Segment[] = [];
  let nextNumber = 1;
  let active: Segment | undefined;
  let queue: Batch[] = [];
  let inFlight: Batch | undefined;
  let onSettled: (() => void)[] = [];
  let scheduled = false;
  let lazyTimer: NodeJS.Timeout | undefined;
  /** The last batch's buffer, for the next one. */
  let spare: Buffer | undefined;
  /** Set before the start, and while the disk fails or hangs. */
  let trouble: { retryAt: number } | undefined = { retryAt: Infinity };
  const disk = createDisk({
    directory: options.directory,
    clock,
    policy: options.sync,
    onUnsynced(error, { firstTime }) {
      options.onFailure(error, Math.min(firstTime, clock.now()));
      if (trouble === undefined) options.onRecovery();
    },
  });

  function append(record: SpoolRecord): Place | undefined {
    const now = clock.now();
    if (trouble !== undefined && now < trouble.retryAt) return undefined;
    if (active === undefined || active.appended >= options.segmentBytes) roll(now);
    const segment = active!;
    const offset = segment.appended;
    write(segment, record, now);
    lazyTimer ??= setTimeout(schedule, LAZY_MILLIS).unref();
    return { segment, offset };
  }

  function roll(now: number): void {
    seal(now);
    active = newSegment(nextNumber++, now);
    segments.push(active);
    write(active, { kind: 'segment', createdTime: now, bootId: options.bootId() }, now);
  }

  function seal(now: number): void {
    const segment = active;
    active = undefined;
    if (segment === undefined) return;
    segment.sealedTime = now;
    const busy = inFlight?.segment === segment || queue.some((batch) => batch.segment === segment);
    if (!busy) disk.release(segment);
  }

  function write(segment: Segment, record: SpoolRecord, now: number): void {
    const batch = batchFor(segment, now);
    const room = worstCaseBytes(record);
    if (batch.buffer.length - batch.length < room) batch.buffer = grow(batch.buffer, batch.length + room);
    const end = encodeRecord(batch.buffer, batch.length, record);
    segment.appended += end - batch.length;
    batch.length = end;
  }

  function batchFor(segment: Segment, now: number): Batch {
    const last = queue.at(-1);
    if (last?.segment === segment) return last;
    const buffer = spare ?? Buffer.allocUnsafe(FIRST_BATCH_BYTES);
    spare = undefined;
    const batch = { segment, buffer, length: 0, since: now, waiting: [] };
    queue.push(batch);
    return batch;
  }

  function commit(): Promise<boolean> {
    if (trouble?.retryAt === Infinity) return Promise.resolve(false);
    const last = queue.at(-1) ?? inFlight;
    if (last === undefined) return Promise.resolve(trouble === undefined);
    schedule();
    return new Promise((resolve) => last.waiting.push(resolve));
  }

  function settled(): Promise<void> {
    if (inFlight === undefined && queue.length === 0) return Promise.resolve();
    schedule();
    return new Promise((resolve) => onSettled.push(resolve));
  }

  function schedule(): void {
    clearTimeout(lazyTimer);
    lazyTimer = undefined;
    if (scheduled || inFlight !== undefined) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      void drain();
    });
  }

  async function drain(): Promise<void> {
    if (inFlight !== undefined) return;
    for (inFlight = queue.shift(); inFlight !== undefined; inFlight = queue.shift()) {
      const batch = inFlight;
      try {
        const written = disk.write(batch.segment, batch.buffer.subarray(0, batch.length));
        if (written !== undefined) await beforeStall(written, batch);
        succeed(batch);
      } catch (error) {
        fail(batch, error);
      }
      if (batch.segment.sealedTime !== undefined && queue[0]?.segment !== batch.segment) disk.release(batch.segment);
      const waiting = onSettled;
      onSettled = [];
      for (const resolve of waiting) resolve();
    }
  }

  /** In two halves: a process that was frozen hears of both at once, the end of a half and of the write. */
  async function beforeStall(written: Promise<void>, batch: Batch): Promise<void> {
    const half = options.writeTimeoutMillis / 2;
    let timer = setTimeout(() => {
      timer = setTimeout(stall, half, batch);
    }, half);
    try {
      await written;
    } finally {
      clearTimeout(timer);
    }
  }

  function succeed(batch: Batch): void {
    answer([batch], true);
    if (batch.buffer.length <= LARGEST_SPARE_BYTES) spare ??= batch.buffer;
    if (trouble === undefined) return;
    trouble = undefined;
    options.onRecovery();
  }

  /** The write may still succeed; until then nobody waits and nothing more is taken. */
  function stall(batch: Batch): void {
    trouble = { retryAt: Infinity };
    answer([batch, ...queue], false);
    options.onFailure(new SpoolTimeoutError(options.directory), batch.since);
  }

  /** Whatever is in the file behind `written` is unknown: the segment ends there, and the next record opens another. */
  function fail(batch: Batch, error: unknown): void {
    const { segment } = batch;
    if (active === segment) seal(clock.now());
    const lost = [batch, ...queue.filter((other) => other.segment === segment)];
    queue = queue.filter((other) => other.segment !== segment);
    segment.appended = segment.written;
    trouble = { retryAt: clock.now() + RETRY_MILLIS };
    answer(lost, false);
    options.onFailure(error, batch.since);
  }

  return {
    segments,
    start(existing) {
      segments.push(...existing);
      nextNumber = (existing.at(-1)?.number ?? 0) + 1;
      trouble = undefined;
    },
    append,
    commit,
    settled,
    async tick() {
      const now = clock.now();
      if (active !== undefined && now - active.createdTime >= options.segmentMillis) seal(now);
      await commit();
      if (trouble !== undefined && now >= trouble.retryAt) {
        roll(now);
        schedule();
      }
      if (active?.file !== undefined) disk.sync(active);
    },
    async remove(segment) {
      await disk.remove(segment);
      segments.splice(segments.indexOf(segment), 1);
    },
    async close() {
      await commit();
      clearTimeout(lazyTimer);
      seal(clock.now());
      await disk.close();
    },
  };
}

function answer(batches: readonly Batch[], durable: boolean): void {
  for (const batch of batches) for (const resolve of batch.waiting.splice(0)) resolve(durable);
}

/** The disk did not take a write in time. */
export class SpoolTimeoutError extends Error {
  override readonly name = 'SpoolTimeoutError';
  constructor(directory: string) {
    super(`A write to ${directory} takes too long`);
  }
}

function grow(buffer: Buffer, needed: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}
