import type { AttributeValue, ConsumedCapacity } from '@aws-sdk/client-dynamodb';
import type { WriteBudget } from './rate.ts';

export type Item = Record<string, AttributeValue>;

const UNIT_BYTES = 1024;
/** The table itself and the two indexes that every identity is in, until the server says what writes cost. */
const FIRST_GUESS = 3;
/** How much one answer changes the estimate. */
const WEIGHT = 0.2;

/**
 * Keeps the write budget exact: takes what a write is expected to cost before it is sent, and corrects that by what
 * DynamoDB says it has cost. How many indexes a write goes to is learnt from these answers.
 */
export function createCostAccount(budget: WriteBudget) {
  let unitsPerBaseUnit = FIRST_GUESS;

  return {
    /** Waits until the items may be written. Returns what was taken, for `settle` or `refund`. */
    async take(items: readonly Item[], signal?: AbortSignal): Promise<number> {
      const units = baseUnits(items) * unitsPerBaseUnit;
      await budget.take(units, signal);
      return units;
    },

    /** @param written the items that were stored; a write that was not done still costs, but says nothing of indexes */
    settle(taken: number, consumed: readonly ConsumedCapacity[] | undefined, written: readonly Item[]): void {
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

/** Servers other than AWS may leave the figure out or say 0 for everything. */
function total(consumed: readonly ConsumedCapacity[] | undefined): number | undefined {
  let units = 0;
  for (const { CapacityUnits } of consumed ?? []) units += CapacityUnits ?? 0;
  return units > 0 ? units : undefined;
}

function baseUnits(items: readonly Item[]): number {
  let units = 0;
  for (const item of items) units += Math.max(1, Math.ceil(roughBytes(item) / UNIT_BYTES));
  return units;
}

/** About DynamoDB's item size; UTF-16 units for bytes is near enough, because the server's answer corrects it. */
function roughBytes(attributes: Item): number {
  let bytes = 0;
  for (const name in attributes) bytes += name.length + valueBytes(attributes[name]!);
  return bytes;
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return value.S.length;
  if (value.N !== undefined) return value.N.length / 2 + 1;
  if (value.M !== undefined) return 3 + roughBytes(value.M);
  if (value.L !== undefined) {
    let bytes = 3;
    for (const element of value.L) bytes += 1 + valueBytes(element);
    return bytes;
  }
  return 1;
}
