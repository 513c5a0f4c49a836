import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Retrying } from './failure.ts';
import type { RangeCheckpoint } from './range-checkpoint.ts';
import { createRateMeter } from './rate-meter.ts';
import type { WorkerRecord } from './record.ts';

type Texts = Readonly<Record<string, string>>;

export interface RangeProgressOptions<Checkpoint> {
  readonly range: { readonly rangeId: number };
  readonly record: WorkerRecord;
  /** Name of this process. */
  readonly instance: string;
  readonly clock: Clock;
  readonly onProgress?: ((checkpoint: Checkpoint) => void) | undefined;
  readonly retrying: Retrying;
  /** The currently configured table of override rows; undefined if there is none. */
  readonly overridesTable: string | undefined;
}

/** The state of a range as saved by a previous process. */
export interface SavedRange<Checkpoint> {
  readonly checkpoint: Checkpoint;
  /** Everything that was saved, by name. */
  readonly texts: Texts;
}

/** @returns undefined if no readable state was saved: the range starts from its beginning */
export async function loadRange<Checkpoint>(
  { record, retrying }: Pick<RangeProgressOptions<Checkpoint>, 'record' | 'retrying'>,
  parse: (text: string | undefined) => Checkpoint | undefined,
  signal: AbortSignal,
): Promise<SavedRange<Checkpoint> | undefined> {
  const texts = (await retrying(() => record.load(signal))) ?? {};
  const checkpoint = parse(texts['checkpoint']);
  return checkpoint && { checkpoint, texts };
}

/** The results of one kind of work, and how they are saved. */
export interface Account<Own> {
  /** Identities and documents seen so far. */
  seen(): number;
  /** The current values of this kind's own fields of the checkpoint; called once per save. */
  checkpoint(): Own;
  /** Texts that are saved next to the checkpoint, by name. */
  texts(): Texts;
  /** Minimum interval of saves within a segment: work that a successor repeats costs less than more saves. */
  readonly everyMs: number;
  /** A larger state is not saved before the end: it will have shrunk by the next time. */
  readonly mostBytes: number;
}

/** Keeps the checkpoint of one range up to date. */
export interface RangeProgress<Checkpoint> {
  /**
   * Records that this process has the range now, before any progress. So its successor knows about it even if it is
   * killed within its first page, and a predecessor that still works notices it.
   */
  claim(signal: AbortSignal): Promise<Checkpoint>;
  /** Saves, unless it did so a moment ago. */
  saveSometimes(signal: AbortSignal): Promise<void>;
  save(signal: AbortSignal): Promise<Checkpoint>;
  /** The range starts over from its beginning: nothing that was known of it counts. */
  restart(signal: AbortSignal): Promise<Checkpoint>;
  finish(signal: AbortSignal): Promise<Checkpoint>;
}

/**
 * @param before the checkpoint of the previous process
 * @param isAnew whether the range nevertheless starts from its beginning
 */
export function keepProgress<Own extends object>(
  options: RangeProgressOptions<RangeCheckpoint & Own>,
  account: Account<Own>,
  before: RangeCheckpoint | undefined,
  isAnew: boolean,
): RangeProgress<RangeCheckpoint & Own> {
  const { range, record, clock, retrying } = options;
  // Rows of earlier pages are in the table that was configured then, if any.
  const isSameTable = isAnew || before?.overridesTable === options.overridesTable;
  let overridesTable = isSameTable ? options.overridesTable : undefined;
  // The reason why the previous process failed is kept until this one makes progress.
  let lastError = before?.lastError;
  const rate = createRateMeter(clock.monotonic());
  let seen = account.seen();
  let savedAt = Number.NEGATIVE_INFINITY;

  async function write(finished: boolean, signal: AbortSignal): Promise<RangeCheckpoint & Own> {
    const now = account.seen();
    rate.add(now - seen, clock.monotonic());
    seen = now;
    const checkpoint = {
      rangeId: range.rangeId,
      finished,
      updatedTime: new Date(clock.now()).toISOString(),
      instance: options.instance,
      identitiesPerSecond: Math.round(rate.perSecond()),
      ...account.checkpoint(),
      ...(overridesTable !== undefined && { overridesTable }),
      ...(lastError !== undefined && { lastError }),
    };
    const texts = { checkpoint: JSON.stringify(checkpoint), ...account.texts() };
    // The successor of a worker that is killed now resumes from the last save, whose totals exclude this progress.
    if (finished || sizeOf(texts) <= account.mostBytes) await retrying(() => record.save(texts, signal));
    savedAt = clock.monotonic();
    options.onProgress?.(checkpoint);
    return checkpoint;
  }

  function save(finished: boolean, signal: AbortSignal): Promise<RangeCheckpoint & Own> {
    lastError = undefined;
    return write(finished, signal);
  }

  return {
    claim: (signal) => write(before?.finished ?? false, signal),
    save: (signal) => save(false, signal),
    finish: (signal) => save(true, signal),

    async saveSometimes(signal) {
      if (clock.monotonic() - savedAt >= account.everyMs) await save(false, signal);
    },

    restart(signal) {
      seen = account.seen();
      overridesTable = options.overridesTable;
      return write(false, signal);
    },
  };
}

function sizeOf(texts: Texts): number {
  return Object.values(texts).reduce((size, text) => size + Buffer.byteLength(text), 0);
}
