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

/** What is known about the clients that call Core for a project. Times are epoch milliseconds. */
export interface UsageFact {
  /** Since when a sidecar that counts has been running; undefined while none is known. */
  countingSince: number | undefined;
  /** Before this, some sidecar did not count, or not everything. */
  uncountedUntil: number | undefined;
  /** Days with requests, oldest first: today, and up to eight dates before. */
  days: readonly UsageDay[];
  /** Undefined where nothing was written, or that is unknown. */
  identities: WrittenIdentities | undefined;
}

/** How many different identities were written in the last days; writes that name none may add others. */
export interface WrittenIdentities {
  /** Approximate, and a lower bound. */
  count: number;
  /** The first of the last seven dates for which that is known; `2026-11-23`. */
  since: string;
}

export const DAY_MS = 24 * 60 * 60 * 1000;

export const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** Most writes first, then most reads. */
export const byRequests = (one: { writes: number; reads: number }, other: { writes: number; reads: number }): number =>
  other.writes - one.writes || other.reads - one.reads;
