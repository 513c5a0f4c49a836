import { z } from 'zod';
import { parseJson } from '../edge-migration/parse.ts';

/** What pods of a running comparison follow live; the operator writes it. */
const verifySettingsSchema = z.object({
  pageSize: z.number(),
  /** Of each pod. */
  maxReadUnitsPerSecond: z.number(),
  maxWriteUnitsPerSecond: z.number(),
  /**
   * Every write to Core that was observed before this (milliseconds since the epoch, by Core's clock) is in Edge; null when that is not
   * known yet, `none` where nothing is replayed.
   */
  appliedUntil: z.union([z.number(), z.null(), z.literal('none')]),
});

export type VerifySettings = z.infer<typeof verifySettingsSchema>;

export const parseVerifySettings = (text: string | undefined) => parseJson(text, verifySettingsSchema);
