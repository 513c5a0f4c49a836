import { z } from 'zod';

/** The ConfigMap in the operator's namespace with the leader's report of the installation; key `report.json`. */
export const INSTALLATION_REPORT = 'edge-migration-installation';
export const REPORT_KEY = 'report.json';

/** Of several hundred pods, unhealthy ones come first; the rest is only counted. */
export const MOST_LISTED = 200;
export const MOST_CHARACTERS = 1000;

const text = z.string().max(MOST_CHARACTERS);
const time = z.iso.datetime();

/** The result of one check. */
export const checkOutcome = z.object({
  name: text,
  verdict: z.enum(['ok', 'warning', 'failed']),
  text,
  remedy: text.optional(),
});

const listed = <T extends z.ZodType>(item: T) =>
  z.object({ total: z.int().nonnegative(), listed: z.array(item).max(MOST_LISTED) });

/**
 * The state of the installation as seen by the leading operator, written once a minute. It contains counts, names of
 * processes and their problems; nothing about identities. Times are by the operator's clock.
 */
export const installationReport = z.object({
  version: z.literal(1),
  time,
  /** Of the operator. */
  release: text,
  instance: text,
  /** Results of operator/check for the stores, and the time of the last check. */
  checkedTime: time,
  checks: z.array(checkOutcome).max(50),
  /** Whether every write to Core is captured; null if capture is off. */
  coverage: z.object({ state: z.enum(['covered', 'uncovered', 'unknown']), message: text }).nullable(),
  /** Pods of the Core API; null while unknown. */
  coreApiPods: listed(
    z.object({
      name: text,
      state: z.enum(['covered', 'starting', 'uncovered']),
      message: text,
      /** Of the sidecar; absent while it does not report. */
      release: text.optional(),
    }),
  ).nullable(),
  appliers: listed(
    z.object({ instance: text, applying: z.boolean(), outage: text.nullable(), release: text.optional() }),
  ).nullable(),
  /** Clocks of processes relative to NATS'; only those that are wrong. */
  wrongClocks: listed(z.object({ process: text, aheadSeconds: z.int() })),
  /** How many clocks could be compared. */
  clocks: z.int().nonnegative(),
});

export type InstallationReport = z.infer<typeof installationReport>;
