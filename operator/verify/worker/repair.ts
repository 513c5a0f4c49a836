import type { Authority } from '@edge-migration/contract/edge-migration/verification-status.ts';
import { ConvergenceContentionError, type Fence, type Stores } from '@edge-migration/identity/converge.ts';
import type { LateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import { WriteRejectedError } from '@edge-migration/identity/edge/table/table.ts';
import { insertMissing, removeLeftRow, removeMisplaced, repair } from '@edge-migration/identity/repair.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type Candidate, toCandidate } from './candidate.ts';
import type { Comparer } from './comparer.ts';
import { type Comparison, isDoubtful, isOnly } from './comparison.ts';
import { whileHolding } from './hold.ts';

/**
 * Repairs findings, and compares them right afterwards. The record of the range has to hold all of them.
 *
 * @returns for each whether it is correct now
 * @throws errors of the stores and of the record; RangeTakenOverError
 */
export type Repair = (found: readonly Comparison[], signal: AbortSignal) => Promise<boolean[]>;

export interface RepairOptions {
  readonly stores: Stores;
  readonly comparer: Comparer;
  /**
   * After the copy, findings are made to agree with Core; once the replay window has closed, Edge is the authority, and
   * repairs only insert what it lacks (docs/verification.md, "Repair").
   */
  readonly authority: () => Authority;
  /** Knows when an unanswered write can no longer arrive. */
  readonly late: LateWrites;
  readonly holdMs: number;
  /** See {@link HoldOptions.claim}: these are about to be repaired. */
  readonly claim: (candidates: readonly Candidate[], signal: AbortSignal) => Promise<void>;
  readonly retrying: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  readonly clock: Clock;
}

/** @see docs/design.md, "Convergence", rule 9, on how writes of a repair are kept from arriving late */
export function createRepair(options: RepairOptions): Repair {
  const { stores, comparer, authority, late, retrying } = options;

  return async function repairAll(found, signal) {
    if (found.length === 0) return [];
    const candidates = found.map(toCandidate);
    const hold = { ...options, claim: (own: AbortSignal) => options.claim(candidates, own) };
    return whileHolding(hold, signal, (deadline, own) => repairBatch(found, deadline, own));
  };

  /** Repairs with unanswered writes are repeated once these can no longer arrive: Core may have deleted an identity. */
  async function repairBatch(
    batch: readonly Comparison[],
    deadline: Fence['deadline'],
    signal: AbortSignal,
  ): Promise<boolean[]> {
    const failed = new Set<Comparison>();
    let open = batch;
    while (open.length > 0) {
      const unanswered: Comparison[] = [];
      for (const comparison of open) {
        let isLost = false;
        const lost = () => {
          isLost = true;
          late.lost();
        };
        const isDone = await retrying(() => repairOne(comparison, signal, { deadline, lost }), signal);
        if (!isDone) failed.add(comparison);
        if (isLost) unanswered.push(comparison);
      }
      if (unanswered.length > 0) await late.settled(signal);
      open = unanswered;
    }
    const repaired: boolean[] = [];
    for (const comparison of batch) repaired.push(!failed.has(comparison) && (await isRight(comparison, signal)));
    return repaired;
  }

  /** @returns whether the repair succeeded */
  async function repairOne(comparison: Comparison, signal: AbortSignal, fence: Fence): Promise<boolean> {
    // DynamoDB replicates by itself: the home region is correct already.
    if (isOnly(comparison.verdict.finding!, 'regions')) return false;
    // Wait until the budget covers earlier writes before reading anything.
    await stores.edge.budget.take(0, signal);
    try {
      await (authority() === 'Edge' ? insert(comparison, signal, fence) : agree(comparison, signal, fence));
      return true;
    } catch (error) {
      // Constantly written by others, or too large for a document: this is reported, and the rest continues.
      if (error instanceof ConvergenceContentionError || error instanceof WriteRejectedError) return false;
      throw error;
    }
  }

  async function isRight(comparison: Comparison, signal: AbortSignal): Promise<boolean> {
    const { kind, environment } = comparison;
    const [after] = await retrying(() => comparer.recheck(kind, environment, [comparison], signal), signal);
    // The latest writes have not reached every region yet.
    return after === undefined || !isDoubtful(after) || isOnly(after.verdict.finding!, 'regions');
  }

  async function insert(
    { kind, environment, identifier, verdict }: Comparison,
    signal: AbortSignal,
    fence: Fence,
  ): Promise<void> {
    const isAbsent = verdict.identity === 'missing' && verdict.document === undefined;
    if (kind === 'identity' && isAbsent) await insertMissing(stores, { environment, identifier }, signal, fence);
  }

  async function agree(
    { kind, environment, identifier, key, row, verdict, pair }: Comparison,
    signal: AbortSignal,
    fence: Fence,
  ): Promise<void> {
    switch (kind) {
      case 'identity':
        if (verdict.finding !== undefined)
          await repair(stores, { environment, identifier }, verdict.finding, signal, fence);
        return;
      case 'misplaced':
        if (pair.edge !== undefined) await removeMisplaced(stores, pair.edge, signal, fence);
        return;
      case 'row': {
        const item = row && pair.rows?.get(rowName(row));
        if (item !== undefined) await removeLeftRow(stores, { row: item, key }, signal, fence);
      }
    }
  }
}
