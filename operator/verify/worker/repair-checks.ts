import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { stateOf } from '@edge-migration/identity/edge/verdict.ts';
import {
  type Candidate,
  CHUNK,
  divide,
  MOST_REPAIRING_BYTES,
  placeBytes,
  type RepairedCandidate,
  toKey,
  toRepaired,
} from './candidate.ts';
import type { SettleContext } from './candidates.ts';
import { type Comparison, isDoubtful, isOnly } from './comparison.ts';
import { createParts } from './parts.ts';

/** Comparing repairs again, where a write is not final. */
export interface RepairRechecks {
  /** For this long after a repair, a write of another region may still replace it. */
  readonly afterMs: number;
  /**
   * Whether a repair that did not hold is made again. Not where Edge is the authority: a document that is missing again
   * may have been deleted there by an Edge client.
   */
  readonly areRepeated: () => boolean;
  /** These repairs are to be compared again, and no others: the successor of a killed pod has to do so, too. */
  readonly watch: (repaired: readonly Candidate[]) => void;
}

/** Maximum number of comparisons after the first repair; what is wrong at the last one is a finding. */
export const MOST_CHECKS = 8;
/** Repairs that wait for their comparison together; the record has to hold them. */
const MOST_OPEN = 200;

type Context = Pick<SettleContext, 'comparer' | 'tally' | 'repair' | 'rechecks' | 'environments' | 'clock' | 'logger'>;

/** Repairs that have to be compared again once replication has settled, before they are counted. */
export interface RepairChecks {
  readonly open: readonly RepairedCandidate[];
  add(repaired: readonly Comparison[]): void;
  /** Whether all of these may be repaired before others have been compared again. */
  hasRoomFor(candidates: readonly Candidate[]): boolean;
  /**
   * Compares all of them again, repairs once more what writes of other regions have overtaken, and counts each once it
   * has held (docs/design.md, "Convergence", rule 10).
   *
   * @param save called with the remaining ones; before each wait it may not be skipped
   */
  settle(save: SaveRepaired, signal: AbortSignal): Promise<void>;
}

export type SaveRepaired = (left: readonly RepairedCandidate[], maySkip: boolean) => Promise<void>;

/** @param saved those of the previous pod */
export function createRepairChecks(context: Context, saved: readonly RepairedCandidate[]): RepairChecks {
  const { clock, rechecks, logger } = context;
  const settling = createLateWrites(clock, rechecks?.afterMs ?? 0);
  const inParts = createParts(CHUNK);
  let open: readonly RepairedCandidate[] = [];

  function change(changed: readonly RepairedCandidate[]): void {
    open = changed;
    rechecks?.watch(open);
  }

  function append(candidates: readonly RepairedCandidate[]): void {
    if (candidates.length === 0) return;
    settling.lost();
    change([...open, ...candidates]);
  }

  append(saved);

  return {
    get open() {
      return open;
    },
    add: (repaired) => append(repaired.map(toRepaired)),
    hasRoomFor: (candidates) =>
      open.length === 0 ||
      (open.length + candidates.length <= MOST_OPEN &&
        placeBytes(open) + placeBytes(candidates) <= MOST_REPAIRING_BYTES),

    async settle(save, signal) {
      for (let check = 1; open.length > 0; check++) {
        await save(open, false);
        await settling.settled(signal);
        const left: RepairedCandidate[] = [];
        let rest = open;
        for (const chunk of divide(open)) {
          await inParts(chunk, async (part) => {
            left.push(...(await checkPart(context, part, check === MOST_CHECKS, signal)));
          });
          rest = rest.slice(chunk.length);
          change([...rest, ...left]);
          await save(open, true);
        }
        settling.lost();
        logger.info({ check, left: left.length }, 'compared repairs again after the replication lag');
      }
    },
  };
}

/** @returns those to be compared once more */
async function checkPart(
  { comparer, tally, repair, rechecks, environments }: Context,
  part: readonly RepairedCandidate[],
  isLast: boolean,
  signal: AbortSignal,
): Promise<RepairedCandidate[]> {
  const [{ kind, environmentId }] = part as [RepairedCandidate];
  const environment = environments.get(environmentId);
  // Deleted meanwhile with its identities.
  if (environment === undefined) return [];
  const now = await comparer.recheck(kind, environment, part.map(toKey), signal);
  const areRepeated = rechecks?.areRepeated() ?? false;
  const lost = now.filter((each): each is Comparison => each !== undefined && !hasHeld(each, areRepeated));
  const outcomes = areRepeated && !isLast && lost.length > 0 ? await repair?.(lost, signal) : undefined;
  const left: RepairedCandidate[] = [];
  for (const [index, candidate] of part.entries()) {
    const comparison = now[index];
    const isLost = comparison !== undefined && lost.includes(comparison);
    const isDoubted = isLost
      ? outcomes?.[lost.indexOf(comparison)]
      : !isLast && mayRegionsFollow(comparison, candidate);
    if (comparison !== undefined && isDoubted) left.push({ ...candidate, state: stateOf(comparison.pair) });
    else if (isLost) tally.add(comparison, false);
    else tally.addRepaired(candidate, comparison);
  }
  return left;
}

function hasHeld(now: Comparison, areRepeated: boolean): boolean {
  if (!isDoubtful(now) || isOnly(now.verdict.finding!, 'regions')) return true;
  // Only what was missing has been repaired: what Edge has made of it since is its own.
  return !areRepeated && now.verdict.identity !== 'missing';
}

/** Whether other regions differ, and nothing shows yet that this lasts: a write may be on its way there. */
function mayRegionsFollow(now: Comparison | undefined, { state }: RepairedCandidate): boolean {
  return now?.verdict.finding?.regions !== undefined && stateOf(now.pair) !== state;
}
