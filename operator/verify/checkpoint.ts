import { z } from 'zod';
import { parseJson } from '../edge-migration/parse.ts';
import { verifyTotalsSchema } from './totals.ts';

/** The state that one range's worker saves from time to time; the text of the key `checkpoint` of its ConfigMap. */
const verifyCheckpointSchema = z.object({
  rangeId: z.int().min(0),
  finished: z.boolean(),
  updatedTime: z.iso.datetime(),
  /** Name of the worker process that wrote it. */
  instance: z.string(),
  identitiesPerSecond: z.number().min(0),
  totals: verifyTotalsSchema,
  /** Differences that are to be compared again. */
  candidates: z.number().min(0),
  /** Where to resume, and with which candidates; see checkpoint-cipher.ts. */
  sealed: z.string(),
  /** Samples that belong to these totals. */
  sampleLines: z.number().min(0),
  /** Lines about skipped identities that belong to these totals. */
  skippedLines: z.number().min(0).default(0),
  lastError: z.string().optional(),
  /** Table whose override rows were compared for every document so far; absent if there was none, or another one. */
  overridesTable: z.string().exactOptional(),
});

export type VerifyCheckpoint = z.infer<typeof verifyCheckpointSchema>;

/** Undefined if the text is not a valid one, and will be rewritten. */
export const parseVerifyCheckpoint = (text: string | undefined) => parseJson(text, verifyCheckpointSchema);
