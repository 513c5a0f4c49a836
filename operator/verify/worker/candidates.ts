import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { stateOf } from '@edge-migration/identity/edge/verdict.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { REPLAY_WAIT_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { z } from 'zod';
import type { VerifySettings } from '../settings.ts';
import type { Comparer } from './comparer.ts';
import type { Comparison, ComparisonKey } from './comparison.ts';
import { createParts } from './parts.ts';
import type { Repair } from './repair.ts';
import { isOnly, type Tally } from './tally.ts';

/** An observed difference that may be a write in flight. */
export const candidateSchema = z.object({
  kind: z.enum(['identity', 'misplaced', 'row', 'regionDocument', 'regionRow']),
  environmentId: z.number(),
  identifier: z.string(),
  key: z.string(),
  row: z.object({ environment_id: z.string(), document_key: z.string() }).optional(),
  /** The other region that has it. */
  region: z.string().optional(),
  /** The state of both sides when they were last compared. */
  state: z.string(),
});

export type Candidate = z.infer<typeof candidateSchema>;

/** Whether a finding must be compared again before it is certain. */
export const isDoubtful = ({ verdict: { finding } }: Comparison) => finding !== undefined && !isOnly(finding, 'uuid');

export function toCandidate(comparison: Comparison): Candidate {
  const { kind, environment, pair } = comparison;
  return { kind, environmentId: environment.id, ...toKey(comparison), state: stateOf(pair) };
}

export interface SettleContext {
  readonly comparer: Comparer;
  readonly tally: Tally;
  /** Undefined if findings are only reported. */
  readonly repair: Repair | undefined;
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
const CHUNK = 50;

/**
 * Compares candidates again, in generations, each after replay has applied the writes before the previous comparison.
 * One that is equal then was a write in flight; one with the same difference, and no write in between, is certain; any
 * other is compared once more.
 *
 * @param since the time of their last comparison, by Core's clock, in milliseconds since the epoch
 * @param save called occasionally with the remaining ones and the time of their last comparison
 */
export async function settleCandidates(
  context: SettleContext,
  candidates: readonly Candidate[],
  since: number,
  save: (left: readonly Candidate[], comparedTime: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { tally, logger } = context;
  const inParts = createParts(CHUNK);
  let open = [...candidates];
  let comparedTime = since;
  for (let generation = 1; open.length > 0 && generation <= GENERATIONS; generation++) {
    await waitUntilApplied(context, comparedTime, signal);
    const moving: Candidate[] = [];
    for (const chunk of divide(open)) {
      await inParts(chunk, async (part) => {
        moving.push(...(await settleChunk(context, part, signal)));
      });
      open = open.slice(chunk.length);
      // After the comparison: earlier writes may still be on their way to Edge.
      if (moving.length > 0) comparedTime = await context.coreTime();
      await save([...open, ...moving], comparedTime);
    }
    logger.debug({ generation, left: moving.length }, 'compared differences again');
    open = moving;
  }
  for (const { kind } of open) if (kind === 'identity') tally.addUnsettled();
  await save([], comparedTime);
}

/** Chunks of one environment and kind each, small enough to be compared in one call. */
function divide(candidates: readonly Candidate[]): Candidate[][] {
  const chunks: Candidate[][] = [];
  for (const candidate of candidates) {
    const last = chunks.at(-1);
    const [first] = last ?? [];
    const fits = first?.kind === candidate.kind && first.environmentId === candidate.environmentId;
    if (last !== undefined && fits && last.length < CHUNK) last.push(candidate);
    else chunks.push([candidate]);
  }
  return chunks;
}

/** @returns the candidates that have changed since */
async function settleChunk(
  { comparer, tally, repair, environments }: SettleContext,
  chunk: readonly Candidate[],
  signal: AbortSignal,
): Promise<Candidate[]> {
  const [{ kind, environmentId }] = chunk as [Candidate];
  const environment = environments.get(environmentId);
  // Deleted meanwhile with its identities.
  if (environment === undefined) return [];
  const again = await comparer.recheck(kind, environment, chunk.map(toKey), signal);
  const isCertain = (comparison: Comparison | undefined, index: number): comparison is Comparison =>
    comparison !== undefined && isDoubtful(comparison) && stateOf(comparison.pair) === chunk[index]!.state;
  const certain = again.filter(isCertain);
  const outcomes = await repair?.(certain, signal);
  const moving: Candidate[] = [];
  for (const comparison of again) {
    if (comparison === undefined) continue;
    const place = certain.indexOf(comparison);
    if (place >= 0) tally.add(comparison, outcomes?.[place]);
    else if (isDoubtful(comparison)) moving.push(toCandidate(comparison));
    else tally.add(comparison);
  }
  return moving;
}

/**
 * Compares again what a killed pod was about to repair, and repairs the differences: one of its writes may have arrived
 * after Core had deleted the identity. Nothing is counted here; anything that still has to be compared is counted then.
 */
export async function repairInterrupted(
  { comparer, environments }: Pick<SettleContext, 'comparer' | 'environments'>,
  repair: Repair,
  candidates: readonly Candidate[],
  signal: AbortSignal,
): Promise<void> {
  const inParts = createParts(CHUNK);
  for (const chunk of divide(candidates)) {
    const [{ kind, environmentId }] = chunk as [Candidate];
    const environment = environments.get(environmentId);
    if (environment === undefined) continue;
    await inParts(chunk, async (part) => {
      const again = await comparer.recheck(kind, environment, part.map(toKey), signal);
      await repair(
        again.filter((comparison) => comparison !== undefined && isDoubtful(comparison)) as Comparison[],
        signal,
      );
    });
  }
}

const toKey = ({ identifier, key, row, region }: Candidate | Comparison): ComparisonKey => ({
  identifier,
  key,
  ...(row && { row }),
  ...(region !== undefined && { region }),
});

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
