import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { createRetryContext, createRetrying } from '../../job/failure.ts';
import { type PageWork, type Place, workThrough } from '../../job/range-loop.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { VerifyCheckpoint } from '../checkpoint.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { listVerifySegments, type VerifyRange, type VerifySegment } from '../ranges.ts';
import type { VerifySettings } from '../settings.ts';
import { countComparedIdentities, countDocuments } from '../totals.ts';
import {
  type Candidate,
  isDoubtful,
  repairInterrupted,
  type SettleContext,
  settleCandidates,
  toCandidate,
} from './candidates.ts';
import { createComparer } from './comparer.ts';
import type { Comparison } from './comparison.ts';
import { type HeldRecord, holdRecord } from './held-record.ts';
import { createPageReader, type ReadPage, type Start } from './pages.ts';
import { openProgress, type Progress } from './progress.ts';
import type { RegionTables } from './region-comparer.ts';
import { createRepair, type Repair } from './repair.ts';

export interface VerifyOptions
  extends RangeOptions<Pick<VerifyRange, 'rangeId' | 'segments'>, VerifySettings, VerifyCheckpoint>,
    Pick<SettleContext, 'settleMs' | 'replayWaitMs' | 'lagMs'> {
  /** Other regions, whose copies are compared with the home region. */
  readonly regions: readonly RegionTables[];
  readonly seal: CheckpointCipher;
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** Undefined if findings are only reported. */
  readonly repair: 'AfterCopy' | 'AtDeadline' | undefined;
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
  const look = createComparer(stores, options.onConflict, regions);
  const readSegment = createPageReader({ stores, regions, look, settings, retrying });
  const segments = listVerifySegments(
    range,
    regions.map(({ region }) => region),
  );
  const held = options.repair && (await retrying(() => holdRecord(options.record, options, signal)));
  const { overridesTable } = stores.edge;
  const progress = await openProgress({ ...options, record: held ?? options.record, retrying, overridesTable }, signal);
  const { ledger } = progress;
  const coreTime = () => retrying(() => stores.core.server.time(signal));
  const context: SettleContext = {
    ...options,
    coreTime,
    lagMs: regions.length === 0 ? 0 : options.lagMs,
    look: { ...look, lookAgain: (...request) => retrying(() => look.lookAgain(...request)) },
    ledger,
    repair: held && options.repair && repairHolding(held, options.repair),
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

  function repairHolding(record: HeldRecord, moment: 'AfterCopy' | 'AtDeadline'): Repair {
    const late = createLateWrites(clock, options.lateWriteMs);
    const claim = (found: readonly Candidate[], own: AbortSignal) => retrying(() => record.claim(found, own), own);
    return createRepair({ ...options, look, moment, late, claim, retrying });
  }

  /** The previous pod may have written until it noticed that it had lost the range; such writes may arrive late. */
  async function succeed(interrupted: readonly Candidate[], repair: Repair): Promise<void> {
    const { holdMs, lateWriteMs } = options;
    const late = createLateWrites(clock, holdMs + lateWriteMs);
    late.lost();
    logger.info({ rangeId: range.rangeId, candidates: interrupted.length }, 'waiting for writes of the pod before');
    await late.settled(signal);
    await repairInterrupted(context, repair, interrupted, signal);
  }

  function at({ environment, segment, index }: Place<VerifySegment>): PageWork<Exclude<Start, null>, ReadPage> {
    return {
      read: (start) => readSegment(environment, segment, start, signal),
      nextOf: ({ next }) => next,
      async handle({ compare, rows, next }) {
        const before = progress.candidates.length;
        await compare(add);
        if (progress.candidates.length > before) progress.noticeLook(await coreTime());
        ledger.addRows(rows);
        if (next !== undefined) await moveTo({ segment: index, from: next }, true);
      },
    };
  }

  /** @param maySkip whether saving may be postponed */
  async function moveTo(place: Progress['place'], maySkip = false): Promise<void> {
    await progress.moveTo(place, signal, maySkip);
    if (progress.isFull()) await settle();
  }

  /** Nothing is saved before the page is done, so results of a killed worker are added only once. */
  function add(part: readonly Comparison[]): void {
    for (const looked of part) {
      if (isDoubtful(looked)) progress.candidates.push(toCandidate(looked));
      else ledger.add(looked);
    }
  }

  async function settle(): Promise<void> {
    const { candidates, lookedAt } = progress;
    if (candidates.length === 0) return;
    logger.info({ rangeId: range.rangeId, candidates: candidates.length }, 'looking at differences again');
    const save = (left: readonly Candidate[], time: number) => {
      progress.noticeLook(time);
      return progress.keep(left, signal);
    };
    await settleCandidates(context, candidates, lookedAt, save, signal);
  }
}

/** For people: `12,345 identities, 12,340 documents`. */
export function describeProgress({ totals }: VerifyCheckpoint): string {
  const format = (value: number) => value.toLocaleString('en-GB');
  return `${format(countComparedIdentities(totals))} identities, ${format(countDocuments(totals))} documents`;
}
