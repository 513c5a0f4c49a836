import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Patiently } from './failure.ts';
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
  readonly patiently: Patiently;
  /** Table of override rows as it is configured now; undefined where none is. */
  readonly overridesTable: string | undefined;
}

/** What a process before has left of a range. */
export interface SavedRange<Checkpoint> {
  readonly checkpoint: Checkpoint;
  /** All that is kept, by name. */
  readonly texts: Texts;
}

/** @returns undefined when nothing was left that can be read: the range is begun */
export async function loadRange<Checkpoint>(
  { record, patiently }: Pick<RangeProgressOptions<Checkpoint>, 'record' | 'patiently'>,
  parse: (text: string | undefined) => Checkpoint | undefined,
  signal: AbortSignal,
): Promise<SavedRange<Checkpoint> | undefined> {
  const texts = (await patiently(() => record.load(signal))) ?? {};
  const checkpoint = parse(texts['checkpoint']);
  return checkpoint && { checkpoint, texts };
}

/** What one kind of work adds up, and how it is kept. */
export interface Account<Own> {
  /** Identities and documents that were seen so far. */
  seen(): number;
  /** What only this kind has in its checkpoint, as of now; asked for once for each save. */
  checkpoint(): Own;
  /** What is kept beside the checkpoint, by name. */
  texts(): Texts;
  /** Saved at most so often while a segment is worked on: what is repeated by a successor costs less than saving. */
  readonly everyMs: number;
  /** What takes more than this is not saved before the end: what it holds will have become less by the next time. */
  readonly mostBytes: number;
}

/** Keeps the checkpoint of one range up to date. */
export interface RangeProgress<Checkpoint> {
  /**
   * Says that this process has the range now, though it has not come any further. One that is killed within its first page
   * is known to its successor then, and one that is still at work finds its successor.
   */
  claim(signal: AbortSignal): Promise<Checkpoint>;
  /** Saves, unless that was done a moment ago. */
  saveSometimes(signal: AbortSignal): Promise<void>;
  save(signal: AbortSignal): Promise<Checkpoint>;
  /** The range is done again from its beginning: nothing of what was known of it counts. */
  restart(signal: AbortSignal): Promise<Checkpoint>;
  finish(signal: AbortSignal): Promise<Checkpoint>;
}

/**
 * @param before what the process before has left
 * @param isAnew whether the range begins from its start all the same
 */
export function keepProgress<Own extends object>(
  options: RangeProgressOptions<RangeCheckpoint & Own>,
  account: Account<Own>,
  before: RangeCheckpoint | undefined,
  isAnew: boolean,
): RangeProgress<RangeCheckpoint & Own> {
  const { range, record, clock, patiently } = options;
  // What was done before has its rows where they were seen to then, if anywhere.
  const isSameTable = isAnew || before?.overridesTable === options.overridesTable;
  let overridesTable = isSameTable ? options.overridesTable : undefined;
  // Why the process before failed stays said until this one gets further.
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
    // A worker that is killed now goes on from what was saved before, whose totals have nothing of this in them.
    if (finished || sizeOf(texts) <= account.mostBytes) await patiently(() => record.save(texts, signal));
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
