import { z } from 'zod';
import { parseJsonText } from '../edge-migration/parse.ts';

/** Live settings of a running comparison's pods, written by the operator. */
const verifySettingsSchema = z.object({
  pageSize: z.number(),
  /** Per pod. */
  maxReadUnitsPerSecond: z.number(),
  maxWriteUnitsPerSecond: z.number(),
  /**
   * Every write to Core that was observed before this (milliseconds since the epoch, by Core's clock) is in Edge; null
   * if not known yet, `none` without replay.
   */
  appliedUntil: z.union([z.number(), z.null(), z.literal('none')]),
  /**
   * The replay window has closed: Edge is the authority, even if Core was it when the comparison began. Missing while it
   * has not, and in settings of earlier releases.
   */
  isClosed: z.literal(true).exactOptional(),
});

export type VerifySettings = z.infer<typeof verifySettingsSchema>;

export const parseVerifySettings = (text: string | undefined) => parseJsonText(text, verifySettingsSchema);
