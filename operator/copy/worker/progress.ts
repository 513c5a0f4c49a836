import type { WriteBudget } from '@edge-migration/identity/edge/table/table.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { keepProgress, loadRange, type RangeProgressOptions } from '../../job/range-progress.ts';
import { createReport } from '../../job/report.ts';
import { type Checkpoint, NO_TOTALS, type Position, readCheckpoint } from '../checkpoint.ts';
import type { Range } from '../ranges.ts';
import type { HandledPage } from './page.ts';
import { findStartPosition, type IdentityLookup, rememberPosition, type StartPosition } from './position.ts';
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

/** The progress of a range; every change is saved before its function returns. */
export interface CopyProgress {
  /** Where this process starts. */
  readonly start: StartPosition;
  /** Nothing that earlier processes read counts. */
  readonly isFromStart: boolean;
  /** Another process has worked on the range before. */
  readonly isResumed: boolean;
  /** A page is done up to the identity `mark`. */
  addPage(
    mark: { id: number; hash: string },
    page: HandledPage & { readonly known: readonly number[] },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Identities read so far in these segments that existed when the range was planned. If not all segments are counted,
   * those for which an earlier release has not recorded the number count as zero.
   */
  knownOf(isCounted: (segment: number) => boolean): number;
  /** Sums of their ids, over the whole range so far. */
  knownSums(): IdSums;
  /**
   * Whether any process may have written documents of the range: a killed one may have written a page that is missing
   * from the checkpoint, and totals start over with the range.
   */
  readonly hasWritten: boolean;
  /** Starts the range over; returns its beginning. */
  restart(signal: AbortSignal): Promise<StartPosition>;
  /** All segments before this one are done, or had nothing to do. */
  moveTo(segment: number, signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<Checkpoint>;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Loads a range's checkpoint and keeps it up to date from then on. */
export async function openCopyProgress(
  options: CopyProgressOptions,
  lookUp: IdentityLookup,
  signal: AbortSignal,
): Promise<CopyProgress> {
  const { range, logger, budget } = options;
  const saved = await loadRange(options, readCheckpoint, signal);
  const first: Position = { segment: 0, identity: null, totals: NO_TOTALS };
  const beginning: StartPosition = { position: first, after: null };
  const start = (saved && (await findStartPosition(saved.checkpoint, range.segments, lookUp))) ?? beginning;
  const { skippedLines, differingLines } = start.position.totals;
  const skipped = createReport(SKIPPED_LIMIT, saved?.texts['skipped.jsonl'] ?? '', skippedLines);
  const differing = createReport(DIFFERING_LIMIT, saved?.texts['differing.jsonl'] ?? '', differingLines);
  let truncated = saved?.checkpoint.truncated ?? false;
  const known = saved?.checkpoint.positions ?? [];
  // Newer ones could not be found again.
  const isAnew = start.position === first;
  let positions = isAnew ? [first] : known.slice(known.indexOf(start.position));
  let knownBySegment = isAnew ? [] : (saved?.checkpoint.knownBySegment ?? []);
  let spent = budget.spent();
  let isRestarted = false;
  if (!isAnew) {
    logger.info({ rangeId: range.rangeId, identities: start.position.totals.counts.read }, 'resumed');
  }

  const current = () => positions[0] ?? first;

  /** The number for the current segment; empty if it is unknown, or all segments are done. */
  function knownOfCurrent(): number[] {
    const { segment, totals } = current();
    const isUnderWay = knownBySegment.length === segment && segment < range.segments.length;
    return isUnderWay ? [totals.counts.known - sum(knownBySegment)] : [];
  }

  const progress = keepProgress(
    options,
    {
      seen: () => current().totals.counts.read,
      checkpoint() {
        truncated ||= skipped.truncated || differing.truncated;
        return { positions, knownBySegment, truncated };
      },
      texts: () => ({ 'skipped.jsonl': skipped.text(), 'differing.jsonl': differing.text() }),
      // Writing a page costs more than a save.
      everyMs: 0,
      // Lists that would not fit are truncated.
      mostBytes: Number.POSITIVE_INFINITY,
    },
    saved?.checkpoint,
    isAnew,
  );

  /** The costs since the last page. */
  function takeCosts({ documentBytes, planned, known }: HandledPage & { known: readonly number[] }): PageCosts {
    const before = spent;
    spent = budget.spent();
    return {
      known,
      documentBytes,
      writeUnits: planned?.home ?? spent.units - before.units,
      plannedUnits: planned?.units ?? {},
      throttled: spent.throttled - before.throttled,
    };
  }

  function addLines({ results }: HandledPage): void {
    for (const { outcome, skipped: skippedLine, differing: differingLine } of results) {
      if (skippedLine !== undefined) {
        skipped.add(skippedLine);
        logger.warn({ ...skippedLine }, 'skipped an identity');
        options.onSkipped?.(skippedLine);
      }
      if (differingLine !== undefined) {
        differing.add({ outcome, ...differingLine });
        logger.debug({ outcome, ...differingLine }, 'Edge had another document');
      }
    }
  }

  // Its successor must know about writes that may be in flight when it is killed, and wait for them.
  await progress.claim(signal);

  return {
    start,
    isFromStart: isAnew,
    isResumed: saved !== undefined,

    async addPage(identity, page, signal) {
      const { segment, totals } = current();
      addLines(page);
      const lines = { skippedLines: skipped.lines, differingLines: differing.lines };
      const position = { segment, identity, totals: { ...addPage(totals, page.results, takeCosts(page)), ...lines } };
      positions = rememberPosition(positions, position);
      await progress.save(signal);
    },

    async moveTo(segment, signal) {
      if (knownBySegment.length === current().segment) knownBySegment = [...knownBySegment, ...knownOfCurrent()];
      positions = [{ segment, identity: null, totals: current().totals }];
      if (segment < range.segments.length) await progress.save(signal);
    },

    knownOf(isCounted) {
      if (range.segments.every((_, segment) => isCounted(segment))) return current().totals.counts.known;
      return sum([...knownBySegment, ...knownOfCurrent()].filter((_, segment) => isCounted(segment)));
    },

    knownSums: () => sumsOf(current().totals),

    get hasWritten() {
      const { inserted, merged, replaced } = current().totals.counts;
      return saved !== undefined || isRestarted || inserted + merged + replaced > 0;
    },

    async restart(signal) {
      isRestarted = true;
      positions = [first];
      knownBySegment = [];
      await progress.restart(signal);
      return beginning;
    },

    finish: progress.finish,
  };
}
