import { ConvergenceContention, type Stores } from '@edge-migration/identity/converge.ts';
import { WriteRejected } from '@edge-migration/identity/edge/table.ts';
import { rowName } from '@edge-migration/identity/edge/table-override-rows.ts';
import { insertMissing, removeLeftRow, removeMisplaced, repair } from '@edge-migration/identity/repair.ts';
import { isDoubtful } from './candidates.ts';
import type { Look, Looked } from './look.ts';

/**
 * Repairs one finding and looks at it again.
 *
 * @returns whether it is as it must be now
 * @throws errors of the stores
 */
export type Repair = (looked: Looked, signal: AbortSignal) => Promise<boolean>;

/**
 * @param moment after the copy what was found is made to agree with Core; once the replay window has closed, Edge is the
 *   master, and only what it lacks is inserted (docs/verification.md, "Repair")
 */
export function createRepair(stores: Stores, look: Look, moment: 'AfterCopy' | 'AtDeadline'): Repair {
  return async function repairFinding(looked, signal) {
    try {
      await (moment === 'AtDeadline' ? insert(looked, signal) : agree(looked, signal));
    } catch (error) {
      // Written by others all the time, or more than a document can hold: the rest goes on, and this is reported.
      if (error instanceof ConvergenceContention || error instanceof WriteRejected) return false;
      throw error;
    }
    const [after] = await look.lookAgain(looked.kind, looked.environment, [looked], signal);
    return after === undefined || !isDoubtful(after);
  };

  async function insert({ kind, environment, identifier, verdict }: Looked, signal: AbortSignal): Promise<void> {
    const isAbsent = verdict.identity === 'missing' && verdict.document === undefined;
    if (kind === 'identity' && isAbsent) await insertMissing(stores, { environment, identifier }, signal);
  }

  async function agree({ kind, environment, identifier, key, row, verdict, pair }: Looked, signal: AbortSignal) {
    switch (kind) {
      case 'identity':
        if (verdict.finding !== undefined) await repair(stores, { environment, identifier }, verdict.finding, signal);
        return;
      case 'misplaced':
        if (pair.edge !== undefined) await removeMisplaced(stores, pair.edge, signal);
        return;
      case 'row': {
        const item = row && pair.rows?.get(rowName(row));
        if (item !== undefined) await removeLeftRow(stores, { row: item, key }, signal);
      }
    }
  }
}
