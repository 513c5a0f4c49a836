import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { withPatience } from '../../job/failure.ts';
import type { WorkerRecord } from '../../job/record.ts';
import type { VerifyCheckpoint } from '../checkpoint.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { listSegments, type VerifyRange, type VerifySegment } from '../ranges.ts';
import type { VerifySettings } from '../settings.ts';
import { countDocuments, countIdentities } from '../totals.ts';
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
import { openProgress } from './progress.ts';
import type { RegionTables } from './region-comparer.ts';
import { createRepair, type Repair } from './repair.ts';

export interface VerifyOptions extends Pick<SettleContext, 'settleMs' | 'replayPatienceMs' | 'lagMs'> {
  readonly stores: Stores;
  /** Other regions, whose copies are compared with the home region. */
  readonly regions: readonly RegionTables[];
  readonly project: CoreProject;
  readonly range: Pick<VerifyRange, 'rangeId' | 'segments'>;
  readonly record: WorkerRecord;
  readonly seal: CheckpointCipher;
  /** As they are now; they may change while the comparison runs. */
  readonly settings: () => VerifySettings;
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** Undefined where findings are only reported. */
  readonly repair: 'AfterCopy' | 'AtDeadline' | undefined;
  readonly clearIdentifiers: boolean;
  readonly patienceMs: number;
  /** The longest life of a write that was sent and not answered. */
  readonly lateWriteMs: number;
  /** How long a pod may repair after it has made sure that the range is its own. */
  readonly holdMs: number;
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onProgress?: ((checkpoint: VerifyCheckpoint) => void) | undefined;
}

/**
 * Compares one range, page by page, from where its checkpoint says. Differences are looked at again at its end, or
 * before it where there are many. No write of a repair, of this pod or the one before, can arrive once it is finished
 * (docs/design.md, "Convergence", rule 9).
 *
 * @returns the last checkpoint, which says `finished`
 * @throws errors of the stores and of the checkpoints once patience has ended; the signal's reason
 */
export async function verifyRange(options: VerifyOptions, signal: AbortSignal): Promise<VerifyCheckpoint> {
  const { stores, project, range, settings, clock, logger } = options;
  const environments = new Map(project.environments.map((environment) => [environment.id, environment]));
  const patiently = <T>(work: () => Promise<T>, own = signal): Promise<T> =>
    withPatience(
      {
        clock,
        patienceMs: options.patienceMs,
        signal: own,
        onRetry: (error) => logger.warn({ error: errorMessage(error) }, 'trying again'),
      },
      work,
    );
  const { regions } = options;
  const look = createComparer(stores, options.onConflict, regions);
  const readSegment = createPageReader({ stores, regions, look, settings, patiently });
  const segments = listSegments(
    range,
    regions.map(({ region }) => region),
  );
  const held = options.repair && (await patiently(() => holdRecord(options.record, options, signal)));
  const progress = await openProgress({ ...options, record: held ?? options.record, patiently }, signal);
  const { ledger } = progress;
  const coreTime = () => patiently(() => stores.core.server.time(signal));
  const context: SettleContext = {
    ...options,
    coreTime,
    lagMs: regions.length === 0 ? 0 : options.lagMs,
    look: { ...look, lookAgain: (...request) => patiently(() => look.lookAgain(...request)) },
    ledger,
    repair: held && options.repair && repairHolding(held, options.repair),
    environments,
  };

  if (held !== undefined && context.repair !== undefined && held.interrupted.length > 0) {
    await succeed(held.interrupted, context.repair);
    held.seeTo();
  }

  for (let index = progress.place.segment; index < segments.length; index++) {
    const segment = segments[index]!;
    const environment = environments.get(segment.environmentId);
    const from = progress.place.segment === index ? progress.place.from : null;
    // Deleted since the ranges were planned, and its identities with it.
    if (environment === undefined) logger.warn({ environmentId: segment.environmentId }, 'environment is gone');
    else await verifySegment(environment, segment, index, from);
  }
  await settle();
  return progress.finish(signal);

  function repairHolding(record: HeldRecord, moment: 'AfterCopy' | 'AtDeadline'): Repair {
    const late = createLateWrites(clock, options.lateWriteMs);
    const claim = (found: readonly Candidate[], own: AbortSignal) => patiently(() => record.claim(found, own), own);
    return createRepair({ ...options, look, moment, late, claim, patiently });
  }

  /** The pod before may have written until it noticed that it had lost the range, and that may arrive late. */
  async function succeed(interrupted: readonly Candidate[], repair: Repair): Promise<void> {
    const { holdMs, lateWriteMs } = options;
    const late = createLateWrites(clock, holdMs + lateWriteMs);
    late.lost();
    logger.info({ rangeId: range.rangeId, candidates: interrupted.length }, 'waiting for writes of the pod before');
    await late.settled(signal);
    await repairInterrupted(context, repair, interrupted, signal);
  }

  async function verifySegment(
    environment: CoreEnvironment,
    segment: VerifySegment,
    index: number,
    start: Start,
  ): Promise<void> {
    let reading = startReading(environment, segment, start);
    for (;;) {
      const { compare, rows, next } = await reading;
      // Read while this one is compared.
      if (next !== undefined) reading = startReading(environment, segment, next);
      const before = progress.candidates.length;
      await compare(add);
      if (progress.candidates.length > before) progress.noticeLook(await coreTime());
      ledger.addRows(rows);
      const place = next === undefined ? { segment: index + 1, from: null } : { segment: index, from: next };
      await progress.moveTo(place, signal, next !== undefined);
      if (progress.isFull()) await settle();
      if (next === undefined) return;
    }
  }

  function startReading(environment: CoreEnvironment, segment: VerifySegment, start: Start): Promise<ReadPage> {
    const reading = readSegment(environment, segment, start, signal);
    // Nobody may be waiting when it fails; whoever awaits it later still sees the failure.
    reading.catch(() => {});
    return reading;
  }

  /** Nothing is saved before the page is done, so what a killed worker has added is added once. */
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
  return `${format(countIdentities(totals))} identities, ${format(countDocuments(totals))} documents`;
}
