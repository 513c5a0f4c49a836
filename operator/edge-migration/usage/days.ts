/** Requests for a project's identities on one UTC day, through Core. */
export interface UsageDay {
  /** `2026-11-29` */
  date: string;
  writes: number;
  reads: number;
  /** Epoch milliseconds. */
  lastWrite: number | undefined;
  lastRead: number | undefined;
  /** Most writes first. */
  rows: readonly UsageRow[];
}

export interface UsageRow {
  /** Id of the environment in Core. */
  environment: number;
  client: string;
  writes: number;
  reads: number;
}

/** What is known of who calls Core for a project. Times are epoch milliseconds. */
export interface UsageFact {
  /** Since when a sidecar that counts has been running; undefined while none is known. */
  countingSince: number | undefined;
  /** Before this, some sidecar did not count, or not everything. */
  uncountedUntil: number | undefined;
  /** Days on which something came, oldest first: today, and up to eight dates before. */
  days: readonly UsageDay[];
  /** Undefined where nothing was written, or it is not known. */
  identities: WrittenIdentities | undefined;
}

/** How many different identities were written in the last days; there may be others whose writes name none. */
export interface WrittenIdentities {
  /** About, and at least. */
  count: number;
  /** The first of the last seven dates of which that is known; `2026-11-23`. */
  since: string;
}

export const DAY_MS = 24 * 60 * 60 * 1000;

export const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** Most writes first, then most reads. */
export const byRequests = (one: { writes: number; reads: number }, other: { writes: number; reads: number }): number =>
  other.writes - one.writes || other.reads - one.reads;
