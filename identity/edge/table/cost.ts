import type { ConsumedCapacity } from '@aws-sdk/client-dynamodb';
import type { WriteBudget } from '../rate.ts';

const UNIT_BYTES = 1024;
/** The table itself and the two indexes that contain every identity, until the server reports what writes cost. */
const FIRST_GUESS = 3;
/** How much one answer changes the estimate. */
const WEIGHT = 0.2;

/**
 * Keeps the write budget exact: takes the expected cost of a write before it is sent, and corrects it by the cost that
 * DynamoDB reports. These answers also show how many indexes a write goes to.
 */
export function createCostAccount(budget: WriteBudget) {
  let unitsPerBaseUnit = FIRST_GUESS;

  return {
    /** Waits until items of these sizes (bytes) may be written. Returns what was taken, for `settle` or `refund`. */
    async take(sizes: readonly number[], signal?: AbortSignal): Promise<number> {
      const units = Math.ceil(baseUnits(sizes) * unitsPerBaseUnit);
      await budget.take(units, signal);
      return units;
    },

    /** @param written sizes of the stored items; a write that was not done still costs, but tells nothing of indexes */
    settle(taken: number, consumed: readonly ConsumedCapacity[] | undefined, written: readonly number[]): void {
      const units = total(consumed);
      if (units === undefined) return;
      budget.settle(taken, units);
      const base = baseUnits(written);
      if (base > 0 && units >= base) unitsPerBaseUnit += (units / base - unitsPerBaseUnit) * WEIGHT;
    },

    /** The request was not carried out. */
    refund(taken: number): void {
      budget.settle(taken, 0);
    },
  };
}

export type CostAccount = ReturnType<typeof createCostAccount>;

/** Servers other than AWS may omit the figure or report 0 for everything. */
function total(consumed: readonly ConsumedCapacity[] | undefined): number | undefined {
  let units = 0;
  for (const { CapacityUnits } of consumed ?? []) units += CapacityUnits ?? 0;
  return units > 0 ? units : undefined;
}

function baseUnits(sizes: readonly number[]): number {
  let units = 0;
  for (const bytes of sizes) units += Math.max(1, Math.ceil(bytes / UNIT_BYTES));
  return units;
}
