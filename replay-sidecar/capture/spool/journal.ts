import type { Clock } from '@edge-migration/runtime/clock.ts';
import { SPOOL_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import { type Batch, BatchQueue, oldest, settleBatches } from './batches.ts';
import { createDisk, type Disk, type SyncPolicy } from './disk.ts';
import type { SerialQueue } from './lane.ts';
import type { SpoolRecord } from './record.ts';
import type { SegmentPosition, SpoolSegment } from './segment.ts';
import { Segments } from './segments.ts';

export interface JournalOptions {
  directory: string;
  clock: Clock;
  /** The node's boot, which goes into each segment; known from the start. */
  bootId(): string;
  /** A segment of events is sealed at this size, one of intents at a quarter of it, */
  segmentBytes: number;
  /** or at this age, so that it can be removed soon after its events are settled. */
  segmentMs: number;
  /** A request waits no longer than this for its intent. */
  writeTimeoutMs: number;
  sync: SyncPolicy;
  /** For work that nothing waits for: closing, forcing, removing. */
  chores: SerialQueue;
  /** Records appended since `from` (epoch milliseconds) may not be on the disk, nor those until recovery. */
  onFailure(error: unknown, from: number): void;
  /** Writing works again. */
  onRecovery(): void;
}

/** Records that no request waits for are written after this. */
const LAZY_MS = 10;
/** A write takes a thread's turn. When the last but one is no older than this, the next ones share one. */
const BUSY_MS = 1;

/**
 * Appends records to segment files, one write at a time: records that arrive during an event-loop turn, or while the
 * last write is under way, go out together. Intents and events have separate files, because a request's intent is
 * useless as soon as the request has ended, while its events are needed for minutes.
 */
export class Journal {
  private readonly options: JournalOptions;
  private readonly disk: Disk;
  private readonly files = new Segments();
  private readonly queue = new BatchQueue();
  private inFlight: Batch | undefined;
  private onSettled: (() => void)[] = [];
  private isScheduled = false;
  private lazyTimer: NodeJS.Timeout | undefined;
  private watchTimer: NodeJS.Timeout | undefined;
  /** When the last writes of intents began, by the monotonic clock. */
  private lastWrites: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  /**
   * Set before the start, and while the disk fails or hangs. By the monotonic clock: one that is set back by an hour
   * would refuse every record for an hour.
   */
  private trouble: { readonly retryAt: number } | undefined = { retryAt: Infinity };

  constructor(options: JournalOptions) {
    const { directory, sync: policy, chores } = options;
    this.options = options;
    this.disk = createDisk({
      ...{ directory, policy, chores },
      onUnsynced: (error, { firstTime }) => {
        options.onFailure(error, Math.min(firstTime, options.clock.now()));
        if (this.trouble === undefined) options.onRecovery();
      },
    });
  }

  /** All segments that have or may have a file, oldest first. */
  get segments(): SpoolSegment[] {
    return this.files.all;
  }

  /**
   * Begins; until then nothing is accepted.
   *
   * @param existing segments that earlier processes left in the directory, sealed, oldest first
   */
  start(existing: readonly SpoolSegment[]): void {
    this.files.adopt(existing);
    this.trouble = undefined;
  }

  /** Adds a record to the next write; undefined while the disk does not work: the record is not kept then. */
  append(record: SpoolRecord): SegmentPosition | undefined {
    const { clock } = this.options;
    const now = clock.now();
    if (this.trouble !== undefined && clock.monotonic() < this.trouble.retryAt) return undefined;
    const segment = this.segmentFor(record.kind === 'events' && record.lines !== '' ? 'events' : 'intents', now);
    const offset = segment.appended;
    this.queue.add(segment, record, now);
    this.lazyTimer ??= setTimeout(() => this.writeAll(), LAZY_MS).unref();
    return { segment, offset };
  }

  /** True once the intents appended so far are in the file; false when that failed or took too long. Never rejects. */
  commit(): Promise<boolean> {
    if (this.isStuck()) return Promise.resolve(false);
    const last =
      this.queue.lastOf('intents') ?? (this.inFlight?.segment.kind === 'intents' ? this.inFlight : undefined);
    if (last === undefined) return Promise.resolve(this.trouble === undefined);
    this.schedule();
    return new Promise((resolve) => last.waiting.push(resolve));
  }

  /** True once everything appended so far is in the files; false when that failed or took too long. Never rejects. */
  async flush(): Promise<boolean> {
    if (this.isStuck()) return false;
    const batches = this.unwritten();
    this.writeAll();
    const written = await Promise.all(batches.map(({ waiting }) => new Promise<boolean>((done) => waiting.push(done))));
    return this.trouble === undefined && written.every(Boolean);
  }

  /** Resolves at the end of the write that is under way or due, however long it takes. */
  settled(): Promise<void> {
    if (this.unwritten().length === 0) return Promise.resolve();
    this.writeAll();
    return new Promise((resolve) => this.onSettled.push(resolve));
  }

  /** Seals an old segment, forces bytes to the disk, retries a failed disk. To be called every second or so. */
  async tick(): Promise<void> {
    const { clock, segmentMs } = this.options;
    const now = clock.now();
    for (const { kind, createdTime } of this.files.listOpen()) {
      // A clock that was set back would keep it open.
      if (Math.abs(now - createdTime) >= segmentMs) this.seal(kind, now);
    }
    await this.flush();
    if (this.trouble !== undefined && clock.monotonic() >= this.trouble.retryAt) {
      this.roll('intents', now);
      this.schedule();
    }
    this.disk.sync();
  }

  /** Deletes a sealed segment's file. */
  async remove(segment: SpoolSegment): Promise<void> {
    await this.disk.remove(segment);
    this.files.forget(segment);
  }

  /** Writes what was appended and closes the files. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.lazyTimer);
    clearTimeout(this.watchTimer);
    for (const { kind } of this.files.listOpen()) this.seal(kind, this.options.clock.now());
    await this.disk.close();
  }

  private unwritten(): Batch[] {
    return this.inFlight === undefined ? [...this.queue.all] : [this.inFlight, ...this.queue.all];
  }

  /** A write hangs, or nothing has begun. */
  private isStuck(): boolean {
    return this.trouble?.retryAt === Infinity;
  }

  private segmentFor(kind: SpoolSegment['kind'], now: number): SpoolSegment {
    const segment = this.files.find(kind);
    const { segmentBytes } = this.options;
    const limit = kind === 'events' ? segmentBytes : segmentBytes / 4;
    return segment !== undefined && segment.appended < limit ? segment : this.roll(kind, now);
  }

  private roll(kind: SpoolSegment['kind'], now: number): SpoolSegment {
    this.seal(kind, now);
    const segment = this.files.begin(kind, now);
    this.queue.add(segment, { kind: 'segment', createdTime: now, bootId: this.options.bootId() }, now);
    return segment;
  }

  private seal(kind: SpoolSegment['kind'], now: number): void {
    const segment = this.files.seal(kind, now);
    if (segment !== undefined && !this.isBusy(segment)) this.disk.release(segment);
  }

  private isBusy(segment: SpoolSegment): boolean {
    return this.inFlight?.segment === segment || this.queue.has(segment);
  }

  private writeAll(): void {
    clearTimeout(this.lazyTimer);
    this.lazyTimer = undefined;
    this.queue.makeAllDue();
    this.schedule();
  }

  private schedule(): void {
    if (this.isScheduled || this.inFlight !== undefined) return;
    this.isScheduled = true;
    const start = () => {
      this.isScheduled = false;
      void this.drain();
    };
    if (this.options.clock.monotonic() - this.lastWrites[0] < BUSY_MS) setTimeout(start, BUSY_MS);
    else setImmediate(start);
  }

  private async drain(): Promise<void> {
    if (this.inFlight !== undefined) return;
    this.lastWrites = [this.lastWrites[1], this.options.clock.monotonic()];
    for (let batch = this.queue.takeDue(); batch !== undefined; batch = this.queue.takeDue()) {
      this.inFlight = batch;
      try {
        this.watch();
        await this.disk.write(batch.segment, batch.buffer.subarray(0, batch.length));
        this.succeed(batch);
      } catch (error) {
        this.fail(batch, error);
      }
      this.inFlight = undefined;
      if (batch.segment.sealedTime !== undefined && !this.isBusy(batch.segment)) this.disk.release(batch.segment);
      for (const resolve of this.onSettled.splice(0)) resolve();
    }
  }

  /**
   * One check per half of the time limit, for all writes: a timer for each would cost as much as a write. A write that
   * is seen twice is reported; a process that was frozen learns of the end of a half and of the write at once.
   */
  private watch(): void {
    this.watchTimer ??= setTimeout(
      (seen) => this.checkProgress(seen),
      this.options.writeTimeoutMs / 2,
      this.inFlight,
    ).unref();
  }

  private checkProgress(seen: Batch | undefined): void {
    this.watchTimer = undefined;
    if (this.inFlight === undefined) return;
    if (this.inFlight === seen && !this.isStuck()) this.stall();
    this.watch();
  }

  private succeed(batch: Batch): void {
    settleBatches([batch], true);
    this.queue.giveBack(batch);
    if (this.trouble === undefined) return;
    this.trouble = undefined;
    this.options.onRecovery();
  }

  /** The write may still succeed; until then nothing waits and nothing more is accepted. */
  private stall(): void {
    const { directory, onFailure } = this.options;
    this.trouble = { retryAt: Infinity };
    const waiting = this.unwritten();
    settleBatches(waiting, false);
    onFailure(new SpoolTimeoutError(directory), oldest(waiting));
  }

  /** The file's content behind `written` is unknown: the segment ends there, and the next record opens another. */
  private fail(batch: Batch, error: unknown): void {
    const { clock, onFailure } = this.options;
    const { segment } = batch;
    if (this.files.find(segment.kind) === segment) this.seal(segment.kind, clock.now());
    const lost = [batch, ...this.queue.takeOf(segment)];
    segment.appended = segment.written;
    this.trouble = { retryAt: clock.monotonic() + SPOOL_AGAIN_MS };
    settleBatches(lost, false);
    onFailure(error, oldest(lost));
  }
}

/** The disk did not take a write in time. */
class SpoolTimeoutError extends Error {
  override readonly name = 'SpoolTimeoutError';
  constructor(directory: string) {
    super(`A write to ${directory} takes too long`);
  }
}
