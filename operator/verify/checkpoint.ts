import { z } from 'zod';
import { parseJson } from '../edge-migration/parse.ts';
import { verifyTotalsSchema } from './totals.ts';

/** What one range's worker writes down now and then; the text of the key `checkpoint` of its ConfigMap. */
const verifyCheckpointSchema = z.object({
  rangeId: z.int().min(0),
  finished: z.boolean(),
  updatedTime: z.iso.datetime(),
  /** Name of the worker process that wrote it. */
  instance: z.string(),
  identitiesPerSecond: z.number().min(0),
  totals: verifyTotalsSchema,
  /** Differences that are to be looked at again. */
  candidates: z.number().min(0),
  /** Where to go on, and with which candidates; see checkpoint-cipher.ts. */
  sealed: z.string(),
  /** Samples that belong to these totals. */
  sampleLines: z.number().min(0),
  /** Lines about skipped identities that belong to these totals. */
  skippedLines: z.number().min(0).default(0),
  lastError: z.string().optional(),
  /** Table whose override rows were looked at for every document so far; absent where there was none, or another one. */
  overridesTable: z.string().exactOptional(),
});

export type VerifyCheckpoint = z.infer<typeof verifyCheckpointSchema>;

/** Undefined when the text is none of ours, and will be rewritten. */
export const parseVerifyCheckpoint = (text: string | undefined) => parseJson(text, verifyCheckpointSchema);
