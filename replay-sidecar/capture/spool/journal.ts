import type { Clock } from '@edge-migration/runtime/clock.ts';
import { SPOOL_AGAIN_MS } from '@edge-migration/runtime/policies.ts';

import { createDisk, type SyncPolicy } from './disk.ts';
import type { Lane } from './lane.ts';
import { encodeRecord, type SpoolRecord, worstCaseBytes } from './record.ts';
import { newSegment, type Place, type Segment } from './segment.ts';

export interface JournalOptions {
  directory: string;
  clock: Clock;
  /** The node's boot, which goes into each segment; known from the start on. */
  bootId(): string;
  /** A segment of events is sealed at this size, one of intents at a quarter of it, */
  segmentBytes: number;
  /** or at this age, so that it can be removed soon after its events are settled. */
  segmentMs: number;
  /** A request waits no longer than this for its intent. */
  writeTimeoutMs: number;
  sync: SyncPolicy;
  /** For what is not to be waited for: closing, forcing, removing. */
  chores: Lane;
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
  /** True once the intents appended so far are in the file; false when that failed or took too long. Never rejects. */
  commit(): Promise<boolean>;
  /** True once everything appended so far is in the files; false when that failed or took too long. Never rejects. */
  flush(): Promise<boolean>;
  /** Resolves at the end of the write that is under way or due, however long it takes. */
  settled(): Promise<void>;
  /** Seals an old segment, forces bytes to the disk, tries a failed disk again. To be called every second or so. */
  tick(): Promise<void>;
  /** Deletes a sealed segment's file. */
  remove(segment: Segment): Promise<void>;
  /** Writes what was appended and closes the files. */
  close(): Promise<void>;
}

type Kind = Segment['kind'];

interface Batch {
  segment: Segment;
  buffer: Buffer;
  length: number;
  /** When the oldest request of a record in it began. */
  since: number;
  waiting: ((durable: boolean) => void)[];
}

/** Records that no request waits for are written after this. */
const LAZY_MS = 10;
/** A write takes a thread's turn. When the one before the last is no older than this, the next ones share one. */
const BUSY_MS = 1;
const FIRST_BATCH_BYTES = 16 * 1024;
const LARGEST_SPARE_BYTES = 256 * 1024;

/**
 * Appends records to segment files, one write at a time: what arrives during an event-loop turn, or while the last
 * write is under way, goes out together. Intents and events have files of their own, because a request's intent is of no
 * use any more as soon as the request has ended, and its events are for minutes.
 */
export function createJournal(options: JournalOptions): Journal {
  const { clock } = options;
  const segments: Segment[] = [];
  const active = new Map<Kind, Segment>();
  let nextNumber = 1;
  let queue: Batch[] = [];
  let inFlight: Batch | undefined;
  /** Set while all that is queued is to be written, not only what requests wait for. */
  let isAllDue = false;
  let onSettled: (() => void)[] = [];
  let scheduled = false;
  let lazyTimer: NodeJS.Timeout | undefined;
  let watchTimer: NodeJS.Timeout | undefined;
  /** When the last writes of intents began, by the monotonic clock. */
  let lastWrites: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  /** The last batch's buffer, for the next one. */
  let spare: Buffer | undefined;
  /** Set before the start, and while the disk fails or hangs. */
  /** By the monotonic clock: one that is set back by an hour would refuse every record for an hour. */
  let trouble: { retryAt: number } | undefined = { retryAt: Infinity };
  const disk = createDisk({
    directory: options.directory,
    policy: options.sync,
    chores: options.chores,
    onUnsynced(error, { firstTime }) {
      options.onFailure(error, Math.min(firstTime, clock.now()));
      if (trouble === undefined) options.onRecovery();
    },
  });

  function append(record: SpoolRecord): Place | undefined {
    const now = clock.now();
    if (trouble !== undefined && clock.monotonic() < trouble.retryAt) return undefined;
    const segment = segmentFor(record.kind === 'events' && record.lines !== '' ? 'events' : 'intents', now);
    const offset = segment.appended;
    write(segment, record, now);
    lazyTimer ??= setTimeout(writeAll, LAZY_MS).unref();
    return { segment, offset };
  }

  function segmentFor(kind: Kind, now: number): Segment {
    const segment = active.get(kind);
    const limit = kind === 'events' ? options.segmentBytes : options.segmentBytes / 4;
    return segment !== undefined && segment.appended < limit ? segment : roll(kind, now);
  }

  function roll(kind: Kind, now: number): Segment {
    seal(kind, now);
    const segment = newSegment({ number: nextNumber++, kind }, now);
    active.set(kind, segment);
    segments.push(segment);
    write(segment, { kind: 'segment', createdTime: now, bootId: options.bootId() }, now);
    return segment;
  }

  function seal(kind: Kind, now: number): void {
    const segment = active.get(kind);
    if (segment === undefined) return;
    active.delete(kind);
    segment.sealedTime = now;
    if (!isBusy(segment)) disk.release(segment);
  }

  const isBusy = (segment: Segment) =>
    inFlight?.segment === segment || queue.some((batch) => batch.segment === segment);

  function write(segment: Segment, record: SpoolRecord, now: number): void {
    const batch = batchFor(segment, now);
    const room = worstCaseBytes(record);
    if (batch.buffer.length - batch.length < room) batch.buffer = grow(batch.buffer, batch.length + room);
    const end = encodeRecord(batch.buffer, batch.length, record);
    segment.appended += end - batch.length;
    batch.length = end;
    if (record.kind !== 'segment') batch.since = Math.min(batch.since, record.beganTime);
  }

  function batchFor(segment: Segment, now: number): Batch {
    const queued = queue.find((batch) => batch.segment === segment);
    if (queued !== undefined) return queued;
    const buffer = spare ?? Buffer.allocUnsafe(FIRST_BATCH_BYTES);
    spare = undefined;
    const batch = { segment, buffer, length: 0, since: now, waiting: [] };
    queue.push(batch);
    return batch;
  }

  function commit(): Promise<boolean> {
    if (trouble?.retryAt === Infinity) return Promise.resolve(false);
    const isIntents = ({ segment }: Batch) => segment.kind === 'intents';
    const last = queue.findLast(isIntents) ?? (inFlight !== undefined && isIntents(inFlight) ? inFlight : undefined);
    if (last === undefined) return Promise.resolve(trouble === undefined);
    schedule();
    return new Promise((resolve) => last.waiting.push(resolve));
  }

  async function flush(): Promise<boolean> {
    if (trouble?.retryAt === Infinity) return false;
    const batches = inFlight === undefined ? [...queue] : [inFlight, ...queue];
    writeAll();
    const written = await Promise.all(batches.map(({ waiting }) => new Promise<boolean>((done) => waiting.push(done))));
    return trouble === undefined && written.every(Boolean);
  }

  function settled(): Promise<void> {
    if (inFlight === undefined && queue.length === 0) return Promise.resolve();
    writeAll();
    return new Promise((resolve) => onSettled.push(resolve));
  }

  function writeAll(): void {
    clearTimeout(lazyTimer);
    lazyTimer = undefined;
    isAllDue = true;
    schedule();
  }

  function schedule(): void {
    if (scheduled || inFlight !== undefined) return;
    scheduled = true;
    const start = () => {
      scheduled = false;
      void drain();
    };
    if (clock.monotonic() - lastWrites[0] < BUSY_MS) setTimeout(start, BUSY_MS);
    else setImmediate(start);
  }

  /** Intents first, because requests wait for them. */
  function nextDue(): Batch | undefined {
    const first = queue.findIndex(({ segment }) => segment.kind === 'intents');
    const index = first < 0 && isAllDue ? 0 : first;
    isAllDue &&= queue.length > 1;
    return index < 0 ? undefined : queue.splice(index, 1)[0];
  }

  async function drain(): Promise<void> {
    if (inFlight !== undefined) return;
    lastWrites = [lastWrites[1], clock.monotonic()];
    for (inFlight = nextDue(); inFlight !== undefined; inFlight = nextDue()) {
      const batch = inFlight;
      try {
        watch();
        await disk.write(batch.segment, batch.buffer.subarray(0, batch.length));
        succeed(batch);
      } catch (error) {
        fail(batch, error);
      }
      inFlight = undefined;
      if (batch.segment.sealedTime !== undefined && !isBusy(batch.segment)) disk.release(batch.segment);
      const waiting = onSettled;
      onSettled = [];
      for (const resolve of waiting) resolve();
    }
  }

  /**
   * One look at every half of the time limit, for all writes: a timer for each would cost as much as a write. Of a write
   * that is seen twice it is told; a process that was frozen hears of the end of a half and of the write at once.
   */
  function watch(): void {
    watchTimer ??= setTimeout(look, options.writeTimeoutMs / 2, inFlight).unref();
  }

  function look(seen: Batch | undefined): void {
    watchTimer = undefined;
    if (inFlight === undefined) return;
    if (inFlight === seen && trouble?.retryAt !== Infinity) stall(inFlight);
    watch();
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
    options.onFailure(new SpoolTimeoutError(options.directory), oldest([batch, ...queue]));
  }

  /** Whatever is in the file behind `written` is unknown: the segment ends there, and the next record opens another. */
  function fail(batch: Batch, error: unknown): void {
    const { segment } = batch;
    if (active.get(segment.kind) === segment) seal(segment.kind, clock.now());
    const lost = [batch, ...queue.filter((other) => other.segment === segment)];
    queue = queue.filter((other) => other.segment !== segment);
    segment.appended = segment.written;
    trouble = { retryAt: clock.monotonic() + SPOOL_AGAIN_MS };
    answer(lost, false);
    options.onFailure(error, oldest(lost));
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
    flush,
    settled,
    async tick() {
      const now = clock.now();
      for (const { kind, createdTime } of [...active.values()]) {
        // A clock that was set back would keep it open.
        if (Math.abs(now - createdTime) >= options.segmentMs) seal(kind, now);
      }
      await flush();
      if (trouble !== undefined && clock.monotonic() >= trouble.retryAt) {
        roll('intents', now);
        schedule();
      }
      disk.sync();
    },
    async remove(segment) {
      await disk.remove(segment);
      segments.splice(segments.indexOf(segment), 1);
    },
    async close() {
      await flush();
      clearTimeout(lazyTimer);
      clearTimeout(watchTimer);
      for (const kind of [...active.keys()]) seal(kind, clock.now());
      await disk.close();
    },
  };
}

const oldest = (batches: readonly Batch[]) => Math.min(...batches.map(({ since }) => since));

function answer(batches: readonly Batch[], durable: boolean): void {
  for (const batch of batches) for (const resolve of batch.waiting.splice(0)) resolve(durable);
}

/** The disk did not take a write in time. */
class SpoolTimeoutError extends Error {
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
