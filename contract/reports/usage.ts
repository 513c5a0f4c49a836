import { z } from 'zod';
import { environmentReference } from '../write-event.ts';

import { SKETCH_TEXT } from './sketch.ts';

/** Of one environment and day; what is beyond them is in {@link OTHER_CLIENTS}. */
export const MOST_CLIENTS = 20;
export const OTHER_CLIENTS = 'other';
/** Today and the two days before, so that an operator that was away for a day loses nothing. */
export const MOST_DAYS = 3;
/** Of one report. */
const MOST_ENVIRONMENTS = 500;

const count = z.int().nonnegative().max(1e12);
const time = z.iso.datetime();
const client = z.string().regex(/^[a-z0-9][a-z0-9./-]{0,63}$/);

/** Requests of one environment on one day, since the process began to count. */
const environmentUsage = z.object({
  environment: environmentReference,
  writes: count,
  reads: count,
  lastWrite: time.nullable(),
  lastRead: time.nullable(),
  /** A sketch of the identities that were written, from which their number can be told, and no name; of earlier releases there is none. */
  identities: z.string().regex(SKETCH_TEXT).exactOptional(),
  /** Names in the sketch, each counted once for each request: there are no more identities than these. Absent as the sketch is. */
  named: count.exactOptional(),
  /** Name, writes and reads of each; most requests first. They add up to those of the environment. */
  clients: z.array(z.tuple([client, count, count])).max(MOST_CLIENTS + 1),
});

/**
 * Which clients wrote and read identities through this sidecar. Counts begin at zero with the process. Where not all
 * environments have room in a report, the following ones have the others.
 */
export const usageReport = z.object({
  /** When the process began to count. */
  since: time,
  /** False: there were more environments than are counted. */
  complete: z.boolean(),
  /** UTC days by the sidecar's clock. */
  days: z
    .array(z.object({ date: z.iso.date(), environments: z.array(environmentUsage).max(MOST_ENVIRONMENTS) }))
    .max(MOST_DAYS),
});

export type EnvironmentUsage = z.infer<typeof environmentUsage>;
export type UsageReport = z.infer<typeof usageReport>;
