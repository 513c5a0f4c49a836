import { z } from 'zod';

/**
 * The common part of every worker's saved state of its range, in the text `checkpoint` of its record. Each kind of work
 * adds its position and its counts.
 */
export const rangeCheckpointSchema = z.object({
  rangeId: z.int().min(0),
  finished: z.boolean(),
  updatedTime: z.iso.datetime(),
  /** Name of the worker process that wrote it. */
  instance: z.string(),
  identitiesPerSecond: z.number().min(0),
  /**
   * Table that has the override rows of every document of the range so far; absent if some were processed without a
   * table, or with another one.
   */
  overridesTable: z.string().exactOptional(),
  /** Why a worker failed, until one makes progress. */
  lastError: z.string().optional(),
});

export type RangeCheckpoint = z.infer<typeof rangeCheckpointSchema>;
