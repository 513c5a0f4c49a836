import { z } from 'zod';

/**
 * What every worker writes down of its range, whatever it does with it: a part of the text `checkpoint` of its record. Each
 * kind of work adds where it is, and what it has counted.
 */
export const rangeCheckpointSchema = z.object({
  rangeId: z.int().min(0),
  finished: z.boolean(),
  updatedTime: z.iso.datetime(),
  /** Name of the worker process that wrote it. */
  instance: z.string(),
  identitiesPerSecond: z.number().min(0),
  /**
   * Table whose override rows were seen to for every document of the range so far; absent where there was none, or another
   * one, for some.
   */
  overridesTable: z.string().exactOptional(),
  /** Why a worker failed, until one gets further. */
  lastError: z.string().optional(),
});

export type RangeCheckpoint = z.infer<typeof rangeCheckpointSchema>;
