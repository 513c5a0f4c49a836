import { z } from 'zod';

/** The ConfigMap in the operator's namespace in which its leader says how the installation is; key `report.json`. */
export const INSTALLATION_REPORT = 'edge-migration-installation';
export const REPORT_KEY = 'report.json';

/** Of several hundred pods those that are not well come first; the rest is a number. */
export const MOST_LISTED = 200;
export const MOST_CHARACTERS = 1000;

const text = z.string().max(MOST_CHARACTERS);
const time = z.iso.datetime();

/** What one check found. */
export const checkOutcome = z.object({
  name: text,
  verdict: z.enum(['ok', 'warning', 'failed']),
  text,
  remedy: text.optional(),
});

const listed = <T extends z.ZodType>(item: T) =>
  z.object({ total: z.int().nonnegative(), listed: z.array(item).max(MOST_LISTED) });

/**
 * What the leading operator sees of the installation, written once a minute. It has counts, names of processes and what is
 * wrong with them; nothing about identities. Times are those of the operator's clock.
 */
export const installationReport = z.object({
  version: z.literal(1),
  time,
  /** Of the operator. */
  release: text,
  instance: text,
  /** What operator/check found of the stores, and when it last looked. */
  checkedTime: time,
  checks: z.array(checkOutcome).max(50),
  /** Whether every write to Core is seen; null where nothing is captured. */
  coverage: z.object({ state: z.enum(['covered', 'uncovered', 'unknown']), message: text }).nullable(),
  /** Pods of the Core API; null while they are not known. */
  coreApiPods: listed(
    z.object({
      name: text,
      state: z.enum(['covered', 'starting', 'uncovered']),
      message: text,
      /** Of the sidecar; missing while it does not report. */
      release: text.optional(),
    }),
  ).nullable(),
  appliers: listed(
    z.object({ instance: text, applying: z.boolean(), outage: text.nullable(), release: text.optional() }),
  ).nullable(),
  /** Clocks of processes by that of NATS; only those that are wrong. */
  wrongClocks: listed(z.object({ process: text, aheadSeconds: z.int() })),
  /** How many clocks could be compared. */
  clocks: z.int().nonnegative(),
});

export type InstallationReport = z.infer<typeof installationReport>;
