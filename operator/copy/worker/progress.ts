import type { WriteBudget } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { type Checkpoint, NO_TOTALS, type Position } from '../checkpoint.ts';
import type { Range } from '../ranges.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { HandledPage } from './page.ts';
import { findStart, type IdentityLookup, rememberPosition, type Start } from './position.ts';
import { createRateMeter } from './rate-meter.ts';
import type { IdSums } from './read-ids.ts';
import { createReport } from './report.ts';
import { addPage, type PageCosts, type SkippedLine, sumsOf } from './totals.ts';

/** A ConfigMap holds a mebibyte: the lists of single identities share what the checkpoint itself leaves. */
const SKIPPED_LIMIT = 800_000;
const DIFFERING_LIMIT = 100_000;

export interface ProgressOptions {
  readonly range: Range;
  readonly checkpoints: Checkpoints;
  /** Knows what was spent. */
  readonly budget: WriteBudget;
  /** Table that override rows are written to; undefined where none is configured. */
  readonly overridesTable: string | undefined;
  /** Name of this process. */
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After every page. */
  readonly onProgress?: ((checkpoint: Checkpoint) => void) | undefined;
  /** For every identity that Edge cannot hold. */
  readonly onSkipped?: ((line: SkippedLine) => void) | undefined;
}

/** How far a range has come; everything that it learns is saved before it returns. */
export interface Progress {
  /** Where this process began. */
  readonly start: Start;
  /** Nothing that was read before counts. */
  readonly isFromStart: boolean;
  /** Another process has worked on the range before. */
  readonly isResumed: boolean;
  /** A page is done as far as the identity `mark`. */
  addPage(
    mark: { id: number; hash: string },
    page: HandledPage & { readonly known: readonly number[] },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Identities so far of these segments that were there when the range was planned. Where not all are counted, none of those
   * are of which an earlier release has not written it down.
   */
  knownOf(isCounted: (segment: number) => boolean): number;
  /** Sums of their ids, of the whole range so far. */
  knownSums(): IdSums;
  /**
   * Whether documents of the range may have been written, by whatever process: one that was killed may have written a page
   * of which the checkpoint does not tell, and totals begin again where the range does.
   */
  readonly hasWritten: boolean;
  /** The range is to be done again from its beginning, which is returned. */
  restart(signal: AbortSignal): Promise<Start>;
  /** A segment is done, or there is nothing to do in it. */
  moveTo(segment: number, signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<Checkpoint>;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Loads a range's checkpoint and keeps it up to date from then on. */
export async function openProgress(
  options: ProgressOptions,
  lookUp: IdentityLookup,
  signal: AbortSignal,
): Promise<Progress> {
  const { checkpoints, range, logger, clock, budget } = options;
  const saved = await checkpoints.load(signal);
  const first: Position = { segment: 0, identity: null, totals: NO_TOTALS };
  const beginning: Start = { position: first, after: range.segments[0]?.after ?? null };
  const start = (saved && (await findStart(saved.checkpoint, range.segments, lookUp))) ?? beginning;
  const skipped = createReport(SKIPPED_LIMIT, saved?.skipped ?? '', start.position.totals.skippedLines);
  const differing = createReport(DIFFERING_LIMIT, saved?.differing ?? '', start.position.totals.differingLines);
  let truncated = saved?.checkpoint.truncated ?? false;
  const known = saved?.checkpoint.positions ?? [];
  // Newer ones could not be found again.
  const isAnew = start.position === first;
  // Pages that were done before have their rows where they were written to then, if anywhere.
  let overridesTable =
    isAnew || saved?.checkpoint.overridesTable === options.overridesTable ? options.overridesTable : undefined;
  let positions = isAnew ? [first] : known.slice(known.indexOf(start.position));
  let knownBySegment = isAnew ? [] : (saved?.checkpoint.knownBySegment ?? []);
  let spent = budget.spent();
  let isRestarted = false;
  // Why the process before failed stays said until this one gets further.
  let lastError = saved?.checkpoint.lastError;
  const rate = createRateMeter(clock.monotonic());
  if (!isAnew) {
    logger.info({ rangeId: range.rangeId, identities: start.position.totals.counts.read }, 'resumed');
  }

  const current = () => positions[0] ?? first;

  /** Of the segment that is under way; nothing where it is not known, or all are done. */
  function knownOfCurrent(): number[] {
    const { segment, totals } = current();
    const isUnderWay = knownBySegment.length === segment && segment < range.segments.length;
    return isUnderWay ? [totals.counts.known - sum(knownBySegment)] : [];
  }

  async function save(finished: boolean, signal: AbortSignal): Promise<Checkpoint> {
    truncated ||= skipped.truncated || differing.truncated;
    const checkpoint: Checkpoint = {
      rangeId: range.rangeId,
      positions,
      finished,
      knownBySegment,
      updatedTime: new Date(clock.now()).toISOString(),
      instance: options.instance,
      identitiesPerSecond: Math.round(rate.perSecond()),
      truncated,
      ...(overridesTable && { overridesTable }),
      ...(lastError !== undefined && { lastError }),
    };
    await checkpoints.save({ checkpoint, skipped: skipped.text(), differing: differing.text() }, signal);
    options.onProgress?.(checkpoint);
    return checkpoint;
  }

  /** What was spent since the last page. */
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

  // One that is killed within its first page is known to its successor, and one that is still at work finds its successor.
  await save(saved?.checkpoint.finished ?? false, signal);

  return {
    start,
    isFromStart: isAnew,
    isResumed: saved !== undefined,

    async addPage(identity, page, signal) {
      const { segment, totals } = current();
      lastError = undefined;
      addLines(page);
      rate.add(page.results.length, clock.monotonic());
      const lines = { skippedLines: skipped.lines, differingLines: differing.lines };
      const position = { segment, identity, totals: { ...addPage(totals, page.results, takeCosts(page)), ...lines } };
      positions = rememberPosition(positions, position);
      await save(false, signal);
    },

    async moveTo(segment, signal) {
      lastError = undefined;
      if (knownBySegment.length === current().segment) knownBySegment = [...knownBySegment, ...knownOfCurrent()];
      positions = [{ segment, identity: null, totals: current().totals }];
      if (segment < range.segments.length) await save(false, signal);
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
      overridesTable = options.overridesTable;
      await save(false, signal);
      return beginning;
    },

    finish(signal) {
      lastError = undefined;
      return save(true, signal);
    },
  };
}
