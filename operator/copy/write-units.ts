import { z } from 'zod';

/**
 * Write units where they are billed: by `<region>/<table>`, and by `<region>/<table>/<index>` for the additional units
 * of an index. None of the three names contains a slash.
 */
export const writeUnitsSchema = z.record(z.string(), z.number().min(0));

export type WriteUnits = z.infer<typeof writeUnitsSchema>;

/** The sum, place by place. */
export function addWriteUnits(all: readonly WriteUnits[]): WriteUnits {
  const sum: WriteUnits = {};
  for (const units of all) for (const place in units) sum[place] = (sum[place] ?? 0) + units[place]!;
  return sum;
}
