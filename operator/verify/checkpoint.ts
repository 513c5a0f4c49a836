import { z } from 'zod';
import { parseJsonText } from '../edge-migration/parse.ts';
import { rangeCheckpointSchema } from '../job/range-checkpoint.ts';
import { verifyTotalsSchema } from './totals.ts';

/** The state that one range's worker saves from time to time; the text of the key `checkpoint` of its ConfigMap. */
const verifyCheckpointSchema = rangeCheckpointSchema.extend({
  totals: verifyTotalsSchema,
  /** Number of differences to compare again. */
  candidates: z.number().min(0),
  /** Where to resume, and with which candidates; see checkpoint-cipher.ts. */
  sealed: z.string(),
  /** Samples that belong to these totals. */
  sampleLines: z.number().min(0),
  /** Lines about skipped identities that belong to these totals. */
  skippedLines: z.number().min(0).default(0),
});

export type VerifyCheckpoint = z.infer<typeof verifyCheckpointSchema>;

/** Undefined if the text is not a valid one, and will be rewritten. */
export const parseVerifyCheckpoint = (text: string | undefined) => parseJsonText(text, verifyCheckpointSchema);
