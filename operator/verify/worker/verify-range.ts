import type { Authority } from '@edge-migration/contract/edge-migration/verification-status.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { createRetryContext, createRetrying } from '../../job/failure.ts';
import { type PageWork, type SegmentPlace, workThrough } from '../../job/range-loop.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { VerifyCheckpoint } from '../checkpoint.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { listVerifySegments, type VerifyRange, type VerifySegment } from '../ranges.ts';
import type { VerifySettings } from '../settings.ts';
import { countComparedIdentities, countDocuments } from '../totals.ts';
import { type Candidate, isRepaired, placeOf, toCandidate } from './candidate.ts';
import { repairInterrupted, type SettleContext, settleCandidates } from './candidates.ts';
import { createComparer } from './comparer.ts';
import { type Comparison, isDoubtful } from './comparison.ts';
import { type HeldRecord, holdRecord } from './held-record.ts';
import { type ComparedPage, createVerifyPageReader, type PageStart } from './pages.ts';
import { openVerifyProgress, type VerifyProgress } from './progress.ts';
import type { RegionTables } from './region-comparer.ts';
import { createRepair, type Repair } from './repair.ts';

export interface VerifyOptions
  extends RangeOptions<Pick<VerifyRange, 'rangeId' | 'segments'>, VerifySettings, VerifyCheckpoint>,
    Pick<SettleContext, 'settleMs' | 'replayWaitMs' | 'lagMs'> {
  /** Other regions, whose copies are compared with the home region. */
  readonly regions: readonly RegionTables[];
  readonly seal: CheckpointCipher;
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** The store that repairs follow until the window closes; undefined if findings are only reported. */
  readonly repair: Authority | undefined;
  /** Repairs are compared again after this time, before they are counted; undefined where a write is final. */
  readonly recheckMs: number | undefined;
  readonly clearIdentifiers: boolean;
  /** How long a pod may repair after its last successful claim of the range. */
  readonly holdMs: number;
}

/**
 * Compares one range, page by page, starting at its checkpoint. Differences are compared again at its end, or earlier
 * if there are many. Once it is finished, no write of a repair, by this pod or the previous one, can arrive any more
 * (docs/design.md, "Convergence", rule 9).
 *
 * @returns the last checkpoint, which says `finished`
 * @throws errors of the stores and of the checkpoints once the retry budget is spent; the signal's reason
 */
export async function verifyRange(options: VerifyOptions, signal: AbortSignal): Promise<VerifyCheckpoint> {
  const { stores, project, range, settings, clock, logger } = options;
  const environments = new Map(project.environments.map((environment) => [environment.id, environment]));
  const retrying = createRetrying(createRetryContext(options, signal));
  const { regions } = options;
  const comparer = createComparer(stores, options.onConflict, regions);
  const readSegment = createVerifyPageReader({ stores, regions, comparer, settings, retrying });
  const segments = listVerifySegments(
    range,
    regions.map(({ region }) => region),
  );
  const held = options.repair && (await retrying(() => holdRecord(options.record, options, signal)));
  const { overridesTable } = stores.edge;
  const progress = await openVerifyProgress(
    { ...options, record: held ?? options.record, retrying, overridesTable },
    signal,
  );
  const { tally } = progress;
  // A comparison may go on while the window closes, or be suspended until then.
  const authority = (): Authority => (settings().isClosed || options.repair === 'Edge' ? 'Edge' : 'Core');
  const coreTime = () => retrying(() => stores.core.server.time(signal));
  const context: SettleContext = {
    ...options,
    coreTime,
    lagMs: regions.length === 0 ? 0 : options.lagMs,
    comparer: { ...comparer, recheck: (...request) => retrying(() => comparer.recheck(...request)) },
    tally,
    repair: held && repairHolding(held),
    rechecks:
      held && options.recheckMs !== undefined
        ? { afterMs: options.recheckMs, areRepeated: () => authority() === 'Core', watch: held.watch }
        : undefined,
    environments,
  };

  if (held !== undefined && context.repair !== undefined && held.interrupted.length > 0) {
    await succeed(held.interrupted, context.repair);
    held.seeTo();
  }

  const { segment, from: start } = progress.place;
  const moveOn = (index: number) => moveTo({ segment: index, from: null });
  await workThrough({ segments, environments, logger, at, moveTo: moveOn }, { segment, start });
  await settle();
  return progress.finish(signal);

  function repairHolding(record: HeldRecord): Repair {
    const late = createLateWrites(clock, options.lateWriteMs);
    const claim = (found: readonly Candidate[], own: AbortSignal) => retrying(() => record.claim(found, own), own);
    return createRepair({ ...options, comparer, authority, late, claim, retrying });
  }

  /** The previous pod may have written until it noticed that it had lost the range; such writes may arrive late. */
  async function succeed(interrupted: readonly Candidate[], repair: Repair): Promise<void> {
    const { holdMs, lateWriteMs, recheckMs = 0 } = options;
    const late = createLateWrites(clock, Math.max(holdMs + lateWriteMs, recheckMs));
    late.lost();
    logger.info(
      { rangeId: range.rangeId, candidates: interrupted.length },
      'waiting for late writes of the previous pod',
    );
    await late.settled(signal);
    // The others are candidates: they are compared again, and counted, with these.
    const waiting = new Set(progress.candidates.filter(isRepaired).map(placeOf));
    const lost = interrupted.filter((candidate) => !waiting.has(placeOf(candidate)));
    await repairInterrupted(context, repair, lost, signal);
  }

  function at({
    environment,
    segment,
    index,
  }: SegmentPlace<VerifySegment>): PageWork<Exclude<PageStart, null>, ComparedPage> {
    return {
      read: (start) => readSegment(environment, segment, start, signal),
      nextOf: ({ next }) => next,
      async handle({ compare, rows, next }) {
        const before = progress.candidates.length;
        await compare(add);
        if (progress.candidates.length > before) progress.noteComparison(await coreTime());
        tally.addRows(rows);
        if (next !== undefined) await moveTo({ segment: index, from: next }, true);
      },
    };
  }

  /** @param maySkip whether saving may be postponed */
  async function moveTo(place: VerifyProgress['place'], maySkip = false): Promise<void> {
    await progress.moveTo(place, signal, maySkip);
    if (progress.isFull()) await settle();
  }

  /** Nothing is saved before the page is done, so results of a killed worker are added only once. */
  function add(part: readonly Comparison[]): void {
    for (const comparison of part) {
      if (isDoubtful(comparison)) progress.candidates.push(toCandidate(comparison));
      else tally.add(comparison);
    }
  }

  async function settle(): Promise<void> {
    const { candidates, comparedTime } = progress;
    if (candidates.length === 0) return;
    logger.info({ rangeId: range.rangeId, candidates: candidates.length }, 'comparing differences again');
    const save = (left: readonly Candidate[], time: number, maySkip: boolean) => {
      progress.noteComparison(time);
      return progress.keep(left, signal, maySkip);
    };
    await settleCandidates(context, candidates, comparedTime, save, signal);
  }
}

/** For people: `12,345 identities, 12,340 documents`. */
export function describeVerifyProgress({ totals }: VerifyCheckpoint): string {
  const format = (value: number) => value.toLocaleString('en-GB');
  return `${format(countComparedIdentities(totals))} identities, ${format(countDocuments(totals))} documents`;
}
