import { z } from 'zod';
import { environmentReference } from '../write-event.ts';

import { SKETCH_TEXT } from './sketch.ts';

/** Clients of one environment and day; further ones are counted as {@link OTHER_CLIENTS}. */
export const MOST_CLIENTS = 20;
export const OTHER_CLIENTS = 'other';
/** Today and the two previous days, so that an operator that was down for a day loses nothing. */
export const MOST_DAYS = 3;
/** Maximum in one report. */
const MOST_ENVIRONMENTS = 500;

const count = z.int().nonnegative().max(1e12);
const time = z.iso.datetime();
const client = z.string().regex(/^[a-z0-9][a-z0-9./-]{0,63}$/);

/** Requests of one environment on one day, since the process started to count. */
const environmentUsage = z.object({
  environment: environmentReference,
  writes: count,
  reads: count,
  lastWrite: time.nullable(),
  lastRead: time.nullable(),
  /** A sketch of the written identities, which reveals their number and no names; absent in earlier releases. */
  identities: z.string().regex(SKETCH_TEXT).exactOptional(),
  /**
   * Names in the sketch, each counted once per request: an upper bound of the number of identities. Absent with the
   * sketch.
   */
  named: count.exactOptional(),
  /** Name, writes and reads of each, most requests first. Their sums are those of the environment. */
  clients: z.array(z.tuple([client, count, count])).max(MOST_CLIENTS + 1),
});

/**
 * Which clients wrote and read identities through this sidecar. Counts begin at zero with the process. If a report does
 * not have room for all environments, the following reports have the others.
 */
export const usageReport = z.object({
  /** When the process started to count. */
  since: time,
  /** False: there were too many environments to count. */
  complete: z.boolean(),
  /** UTC days by the sidecar's clock. */
  days: z
    .array(z.object({ date: z.iso.date(), environments: z.array(environmentUsage).max(MOST_ENVIRONMENTS) }))
    .max(MOST_DAYS),
});

export type EnvironmentUsage = z.infer<typeof environmentUsage>;
export type UsageReport = z.infer<typeof usageReport>;
