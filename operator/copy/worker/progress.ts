import type { WriteBudget } from '@edge-migration/identity/edge/table/table.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import {
  type Account,
  keepProgress,
  loadRange,
  type RangeProgress,
  type RangeProgressOptions,
  type SavedRange,
} from '../../job/range-progress.ts';
import { createReport, type Report } from '../../job/report.ts';
import { type Checkpoint, readCheckpoint } from '../checkpoint.ts';
import type { Range } from '../ranges.ts';
import type { HandledPage } from './page.ts';
import { findStartPosition, type IdentityLookup, type StartPosition } from './position.ts';
import { BEGINNING, RangePositions } from './range-positions.ts';
import type { IdSums } from './read-ids.ts';
import { addPage, type PageCosts, type SkippedLine, sumsOf } from './totals.ts';

/** A ConfigMap holds a mebibyte: the lists of single identities share what the checkpoint leaves. */
const SKIPPED_LIMIT = 800_000;
const DIFFERING_LIMIT = 100_000;

export interface CopyProgressOptions extends RangeProgressOptions<Checkpoint> {
  readonly range: Range;
  /** Counts the write units that were spent. */
  readonly budget: WriteBudget;
  readonly logger: Logger;
  /** For every identity that Edge cannot hold. */
  readonly onSkipped?: ((line: SkippedLine) => void) | undefined;
}

type ReadPage = HandledPage & { readonly known: readonly number[] };

/** Loads a range's checkpoint and keeps it up to date from then on. */
export async function openCopyProgress(
  options: CopyProgressOptions,
  lookUp: IdentityLookup,
  signal: AbortSignal,
): Promise<CopyProgress> {
  const { range, logger } = options;
  const saved = await loadRange(options, readCheckpoint, signal);
  const found = saved && (await findStartPosition(saved.checkpoint, range.segments, lookUp));
  if (found !== undefined) {
    logger.info({ rangeId: range.rangeId, identities: found.position.totals.counts.read }, 'resumed');
  }
  const progress = new CopyProgress(options, saved, found);
  // Its successor must know about writes that may be in flight when it is killed, and wait for them.
  await progress.claim(signal);
  return progress;
}

/** The progress of a range; every change is saved before its function returns. */
export class CopyProgress {
  /** Where this process starts. */
  readonly start: StartPosition;
  /** Nothing that earlier processes read counts. */
  readonly isFromStart: boolean;
  /** Another process has worked on the range before. */
  readonly isResumed: boolean;
  private readonly options: CopyProgressOptions;
  private readonly positions: RangePositions;
  private readonly skipped: Report;
  private readonly differing: Report;
  private readonly progress: RangeProgress<Checkpoint>;
  private truncated: boolean;
  private spent: ReturnType<WriteBudget['spent']>;
  private isRestarted = false;

  /** @param found where a previous process's work is resumed; undefined: at the range's beginning */
  constructor(
    options: CopyProgressOptions,
    saved: SavedRange<Checkpoint> | undefined,
    found: StartPosition | undefined,
  ) {
    this.options = options;
    this.start = found ?? BEGINNING;
    this.isFromStart = found === undefined;
    this.isResumed = saved !== undefined;
    this.positions = new RangePositions(options.range.segments.length, saved?.checkpoint, found?.position);
    const { skippedLines, differingLines } = this.start.position.totals;
    this.skipped = createReport(SKIPPED_LIMIT, saved?.texts['skipped.jsonl'] ?? '', skippedLines);
    this.differing = createReport(DIFFERING_LIMIT, saved?.texts['differing.jsonl'] ?? '', differingLines);
    this.truncated = saved?.checkpoint.truncated ?? false;
    this.spent = options.budget.spent();
    this.progress = keepProgress(options, this.describeAccount(), saved?.checkpoint, this.isFromStart);
  }

  private describeAccount(): Account<Pick<Checkpoint, 'positions' | 'knownBySegment' | 'truncated'>> {
    return {
      seen: () => this.positions.totals.counts.read,
      checkpoint: () => {
        this.truncated ||= this.skipped.truncated || this.differing.truncated;
        return { ...this.positions.list(), truncated: this.truncated };
      },
      texts: () => ({ 'skipped.jsonl': this.skipped.text(), 'differing.jsonl': this.differing.text() }),
      // Writing a page costs more than a save.
      everyMs: 0,
      // Lists that would not fit are truncated.
      mostBytes: Number.POSITIVE_INFINITY,
    };
  }

  /** Records that this process has the range now. */
  async claim(signal: AbortSignal): Promise<void> {
    await this.progress.claim(signal);
  }

  /** A page is done up to the identity `mark`. */
  async addPage(mark: { id: number; hash: string }, page: ReadPage, signal: AbortSignal): Promise<void> {
    this.addLines(page);
    const lines = { skippedLines: this.skipped.lines, differingLines: this.differing.lines };
    this.positions.advance(mark, { ...addPage(this.positions.totals, page.results, this.takeCosts(page)), ...lines });
    await this.progress.save(signal);
  }

  /** All segments before this one are done, or had nothing to do. */
  async moveTo(segment: number, signal: AbortSignal): Promise<void> {
    this.positions.moveTo(segment);
    if (segment < this.options.range.segments.length) await this.progress.save(signal);
  }

  /**
   * Identities read so far in these segments that existed when the range was planned. If not all segments are counted,
   * those for which an earlier release has not recorded the number count as zero.
   */
  knownOf(isCounted: (segment: number) => boolean): number {
    return this.positions.knownOf(isCounted);
  }

  /** Sums of their ids, over the whole range so far. */
  knownSums(): IdSums {
    return sumsOf(this.positions.totals);
  }

  /**
   * Whether any process may have written documents of the range: a killed one may have written a page that is missing
   * from the checkpoint, and totals start over with the range.
   */
  get hasWritten(): boolean {
    const { inserted, merged, replaced } = this.positions.totals.counts;
    return this.isResumed || this.isRestarted || inserted + merged + replaced > 0;
  }

  /** Starts the range over; returns its beginning. */
  async restart(signal: AbortSignal): Promise<StartPosition> {
    this.isRestarted = true;
    this.positions.restart();
    await this.progress.restart(signal);
    return BEGINNING;
  }

  finish(signal: AbortSignal): Promise<Checkpoint> {
    return this.progress.finish(signal);
  }

  /** The costs since the last page. */
  private takeCosts({ documentBytes, planned, known }: ReadPage): PageCosts {
    const before = this.spent;
    this.spent = this.options.budget.spent();
    return {
      known,
      documentBytes,
      writeUnits: planned?.home ?? this.spent.units - before.units,
      plannedUnits: planned?.units ?? {},
      throttled: this.spent.throttled - before.throttled,
    };
  }

  private addLines({ results }: HandledPage): void {
    const { logger, onSkipped } = this.options;
    for (const { outcome, skipped, differing } of results) {
      if (skipped !== undefined) {
        this.skipped.add(skipped);
        logger.warn({ ...skipped }, 'skipped an identity');
        onSkipped?.(skipped);
      }
      if (differing !== undefined) {
        this.differing.add({ outcome, ...differing });
        logger.debug({ outcome, ...differing }, 'Edge had another document');
      }
    }
  }
}
