import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { stateOf } from '@edge-migration/identity/edge/verdict.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { REPLAY_WAIT_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { VerifySettings } from '../settings.ts';
import { type Candidate, CHUNK, divide, isRepaired, toCandidate, toKey } from './candidate.ts';
import type { Comparer } from './comparer.ts';
import { type Comparison, isDoubtful } from './comparison.ts';
import { createParts } from './parts.ts';
import type { Repair } from './repair.ts';
import { createRepairChecks, MOST_CHECKS, type RepairRechecks, type SaveRepaired } from './repair-checks.ts';
import type { Tally } from './tally.ts';

export interface SettleContext {
  readonly comparer: Comparer;
  readonly tally: Tally;
  /** Undefined if findings are only reported. */
  readonly repair: Repair | undefined;
  /** Undefined if a repair is final as soon as it is made. */
  readonly rechecks: RepairRechecks | undefined;
  readonly environments: ReadonlyMap<number, CoreEnvironment>;
  readonly settings: () => VerifySettings;
  /** The present time by Core's clock, in milliseconds since the epoch: the pod's own may be wrong. */
  readonly coreTime: () => Promise<number>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without replay: the maximum duration of a write to both stores. */
  readonly settleMs: number;
  /** Differences between regions are compared again after this time; 0 if no regions are compared. */
  readonly lagMs: number;
  /** How long to wait for replay before remaining differences are accepted as findings. */
  readonly replayWaitMs: number;
}

/** Maximum number of comparisons of a candidate that changes each time. */
const GENERATIONS = 8;

/**
 * Compares candidates again, in generations, each after replay has applied the writes before the previous comparison.
 * One that is equal then was a write in flight; one with the same difference, and no write in between, is certain; any
 * other is compared once more. Where a write is not final, repairs are compared again after the replication lag.
 *
 * @param since the time of their last comparison, by Core's clock, in milliseconds since the epoch
 * @param save called with the remaining ones and the time of their last comparison; often, where it may be skipped
 */
export async function settleCandidates(
  context: SettleContext,
  candidates: readonly Candidate[],
  since: number,
  save: (left: readonly Candidate[], comparedTime: number, maySkip: boolean) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { tally, logger } = context;
  const inParts = createParts(CHUNK);
  const checks = createRepairChecks(context, candidates.filter(isRepaired));
  let open = candidates.filter((candidate) => !isRepaired(candidate));
  let comparedTime = since;
  for (let generation = 1; open.length > 0 && generation <= GENERATIONS; generation++) {
    await waitUntilApplied(context, comparedTime, signal);
    const moving: Candidate[] = [];
    for (const chunk of divide(open)) {
      if (!checks.hasRoomFor(chunk)) {
        const saveAll: SaveRepaired = (left, maySkip) => save([...open, ...moving, ...left], comparedTime, maySkip);
        await checks.settle(saveAll, signal);
      }
      await inParts(chunk, async (part) => {
        const settled = await settleChunk(context, part, signal);
        moving.push(...settled.moving);
        checks.add(settled.repaired);
      });
      open = open.slice(chunk.length);
      // After the comparison: earlier writes may still be on their way to Edge.
      if (moving.length > 0) comparedTime = await context.coreTime();
      await save([...open, ...moving, ...checks.open], comparedTime, true);
    }
    logger.debug({ generation, left: moving.length }, 'compared differences again');
    open = moving;
  }
  for (const { kind } of open) if (kind === 'identity') tally.addUnsettled();
  await checks.settle((left, maySkip) => save(left, comparedTime, maySkip), signal);
  await save([], comparedTime, false);
}

interface Settled {
  /** They have changed since. */
  readonly moving: readonly Candidate[];
  /** They are right for now, which is not final; as they were before. */
  readonly repaired: readonly Comparison[];
}

async function settleChunk(
  { comparer, tally, repair, rechecks, environments }: SettleContext,
  chunk: readonly Candidate[],
  signal: AbortSignal,
): Promise<Settled> {
  const [{ kind, environmentId }] = chunk as [Candidate];
  const environment = environments.get(environmentId);
  // Deleted meanwhile with its identities.
  if (environment === undefined) return { moving: [], repaired: [] };
  const again = await comparer.recheck(kind, environment, chunk.map(toKey), signal);
  const isCertain = (comparison: Comparison | undefined, index: number): comparison is Comparison =>
    comparison !== undefined && isDoubtful(comparison) && stateOf(comparison.pair) === chunk[index]!.state;
  const certain = again.filter(isCertain);
  const outcomes = await repair?.(certain, signal);
  const moving: Candidate[] = [];
  const repaired: Comparison[] = [];
  for (const comparison of again) {
    if (comparison === undefined) continue;
    const place = certain.indexOf(comparison);
    if (place >= 0 && rechecks !== undefined && outcomes?.[place]) repaired.push(comparison);
    else if (place >= 0) tally.add(comparison, outcomes?.[place]);
    else if (isDoubtful(comparison)) moving.push(toCandidate(comparison));
    else tally.add(comparison);
  }
  return { moving, repaired };
}

/**
 * Compares again what a killed pod was about to repair, or had repaired, and repairs the differences: one of its writes
 * may have arrived after Core had deleted the identity, or a later one of another region may have replaced it. Nothing is
 * counted here; anything that still has to be compared is counted then.
 */
export async function repairInterrupted(
  context: Pick<SettleContext, 'comparer' | 'environments' | 'rechecks' | 'clock'>,
  repair: Repair,
  candidates: readonly Candidate[],
  signal: AbortSignal,
): Promise<void> {
  const { rechecks, clock } = context;
  const settling = createLateWrites(clock, rechecks?.afterMs ?? 0);
  let open = candidates;
  for (let check = 1; check <= MOST_CHECKS; check++) {
    open = await repairAgain(context, repair, open, signal);
    if (rechecks === undefined || open.length === 0) return;
    settling.lost();
    await settling.settled(signal);
    if (!rechecks.areRepeated()) return;
  }
}

/** @returns those that were repaired now */
async function repairAgain(
  { comparer, environments }: Pick<SettleContext, 'comparer' | 'environments'>,
  repair: Repair,
  candidates: readonly Candidate[],
  signal: AbortSignal,
): Promise<Candidate[]> {
  const inParts = createParts(CHUNK);
  const repaired: Candidate[] = [];
  for (const chunk of divide(candidates)) {
    const [{ kind, environmentId }] = chunk as [Candidate];
    const environment = environments.get(environmentId);
    if (environment === undefined) continue;
    await inParts(chunk, async (part) => {
      const again = await comparer.recheck(kind, environment, part.map(toKey), signal);
      const found = again.filter((each): each is Comparison => each !== undefined && isDoubtful(each));
      const outcomes = await repair(found, signal);
      repaired.push(...found.filter((_, index) => outcomes[index]).map(toCandidate));
    });
  }
  return repaired;
}

async function waitUntilApplied(context: SettleContext, since: number, signal: AbortSignal): Promise<void> {
  const { clock, settings, logger, settleMs, lagMs, replayWaitMs } = context;
  const started = clock.monotonic();
  for (;;) {
    const { appliedUntil } = settings();
    const waited = clock.monotonic() - started;
    const isApplied = appliedUntil === 'none' ? waited >= settleMs : (appliedUntil ?? 0) > since;
    if (isApplied && waited >= lagMs) return;
    if (waited >= replayWaitMs) {
      logger.warn(
        { seconds: Math.round(waited / 1000) },
        'timed out waiting for replay; reporting remaining differences',
      );
      return;
    }
    await clock.sleep(REPLAY_WAIT_POLL_MS, signal);
  }
}
