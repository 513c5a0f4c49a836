import { z } from 'zod';
import type { CheckpointFact, CopyCounts } from '../edge-migration/facts.ts';
import { parseJsonText } from '../edge-migration/parse.ts';
import { rangeCheckpointSchema } from '../job/range-checkpoint.ts';
import { writeUnitsSchema } from './write-units.ts';

const count = z.number().min(0).default(0);

const digits = z.string().regex(/^\d+$/).default('0');

const countsSchema = z.object({
  pages: count,
  /** Identities of Core that were processed; the sum of all outcomes, and those that Core deleted meanwhile. */
  read: count,
  /** Of these, the ones that existed when the range was planned. */
  known: count,
  inserted: count,
  unchanged: count,
  kept: count,
  merged: count,
  replaced: count,
  skipped: count,
  /** Documents that differed from Core when they were found, whether or not they were changed. */
  differing: count,
  edgeBorn: count,
  documentBytes: count,
  writeUnits: count,
  throttled: count,
});

/** Totals of a range up to a position. */
const totalsSchema = z.object({
  counts: countsSchema.prefault({}),
  skippedByReason: z.record(z.string(), z.number()).default({}),
  /** For a plan: the cost of the writes in every region. */
  plannedUnits: writeUnitsSchema.default({}),
  /**
   * For those counted as `known`, sums of their ids and of the squares of these; `0` in checkpoints of earlier
   * releases.
   */
  knownIds: z.object({ sum: digits, squares: digits }).prefault({}),
  /** Lines of the reports that are included in these totals. */
  skippedLines: count,
  differingLines: count,
});

/**
 * Where a range can be resumed: behind an identity of one of its segments, or at a segment's start. Identifiers are
 * personal data, so an identity is named by its id in Core, and the hash shows whether it still has its identifier.
 */
const positionSchema = z.object({
  segment: z.int().min(0),
  identity: z.object({ id: z.int(), hash: z.string() }).nullable(),
  totals: totalsSchema,
});

/** The state that one range's worker saves after every page; the text of the key `checkpoint` of its ConfigMap. */
export const checkpointSchema = rangeCheckpointSchema.extend({
  /** Newest first; the others are used if an identity has been deleted or renamed since. */
  positions: z.array(positionSchema),
  /** The number of `known` identities of each finished segment; empty in checkpoints of earlier releases. */
  knownBySegment: z.array(z.int().min(0)).default([]),
  /** Some lines of the reports did not fit. */
  truncated: z.boolean().default(false),
});

export type Checkpoint = z.infer<typeof checkpointSchema>;
export type Position = z.infer<typeof positionSchema>;
export type Totals = z.infer<typeof totalsSchema>;

/** Nothing has been copied yet. */
export const NO_TOTALS: Totals = totalsSchema.parse({});

/** The operator's view of a checkpoint's text; undefined if it is not a valid one, and will be rewritten. */
export function parseCheckpoint(text: string): CheckpointFact | undefined {
  const checkpoint = readCheckpoint(text);
  if (checkpoint === undefined) return undefined;
  const { rangeId, finished, updatedTime, identitiesPerSecond, positions, lastError, overridesTable } = checkpoint;
  const { counts, skippedByReason, plannedUnits } = positions[0]?.totals ?? NO_TOTALS;
  return {
    rangeId,
    finished,
    updatedTime: Date.parse(updatedTime),
    identitiesPerSecond,
    counts: counts satisfies CopyCounts,
    skippedByReason,
    plannedUnits,
    lastError,
    overridesTable,
  };
}

/** The whole checkpoint; undefined if the text is not one. */
export const readCheckpoint = (text: string | undefined) => parseJsonText(text, checkpointSchema);
