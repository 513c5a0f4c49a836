import {
  emptySketch,
  estimateNames,
  joinSketch,
  readSketch,
  type Sketch,
} from '@edge-migration/contract/reports/sketch.ts';
import type { EnvironmentUsage } from '@edge-migration/contract/reports/usage.ts';
import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { ReferencedEnvironment } from '@edge-migration/identity/core/environment-references.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { StoredReport } from '../../coverage/decide.ts';
import {
  byRequests,
  DAY_MS,
  dateOf,
  type UsageDay,
  type UsageFact,
  type UsageRow,
  type WrittenIdentities,
} from './days.ts';

/** The environments of references, by their names; those unknown to Core are left out. */
type ReadEnvironments = (
  references: readonly EnvironmentReference[],
  signal: AbortSignal,
) => Promise<Map<string, ReferencedEnvironment>>;

export interface UsageCountsSettings {
  readEnvironments: ReadEnvironments;
  /** Only counts of migrated projects are remembered. */
  isMigrated: (projectId: number) => boolean;
  clock: Pick<Clock, 'monotonic'>;
  freshMs: number;
}

/** Adds up the sidecars' counts of the clients that call Core. */
export interface UsageCounts {
  /**
   * Takes in reports, with their times by the stream's clock, as often as they are read: repeated ones change nothing.
   *
   * @param now by the stream's clock
   * @throws Core's errors when it cannot be asked; the same reports may be taken in later
   */
  follow(reports: readonly StoredReport[], now: number, signal: AbortSignal): Promise<void>;
  project(projectId: number): UsageFact;
}

/** One process's counts for one environment under one of its keys, on one day. */
interface Entry extends Omit<EnvironmentUsage, 'environment'> {
  environmentId: number;
}

/** By date, then by process and key. */
type ProjectEntries = Map<string, Map<string, Entry>>;

/** Dates kept besides today's: one more than the week for which the stream keeps reports. */
const KEPT_DAYS = 8;
/** Dates whose identities are counted, including today's. */
const IDENTITY_DAYS = 7;
/** Limit for clients and sketches in all entries, some hundred bytes each, against invented reports. */
const MOST_ROWS = 300_000;
const MOST_NAMES = 20_000;
/** A key may be given to another environment, or be created. */
const ASK_AGAIN_MS = 60_000;
/** A project's entries are not added up for each decision. */
const SUM_MS = 30_000;

/**
 * Sidecars report how much they have counted on each day since they started, and the stream keeps their last reports
 * for a week. So a day is the sum over all processes of the maximum that each has reported: repeated reports, a
 * restarted operator and its replicas change nothing, and a restarted sidecar is another process that begins at zero.
 */
export function createUsageCounts(settings: UsageCountsSettings): UsageCounts {
  const { readEnvironments, isMigrated, clock, freshMs } = settings;
  const projects = new Map<number, ProjectEntries>();
  const seen = new Map<string, number>();
  const known = new Map<string, { environment: ReferencedEnvironment | undefined; askedTime: number }>();
  const sums = new Map<number, { time: number; days: UsageDay[]; identities: WrittenIdentities | undefined }>();
  let evidence: Pick<UsageFact, 'countingSince' | 'uncountedUntil'> = {
    countingSince: undefined,
    uncountedUntil: undefined,
  };
  let rows = 0;
  /** By the stream's clock. */
  let firstIdentityDate = '';
  /** When something last found no room here. */
  let fullTime: number | undefined;

  async function resolve(references: ReadonlyMap<string, EnvironmentReference>, signal: AbortSignal): Promise<void> {
    const now = clock.monotonic();
    for (const [name, { askedTime }] of known) {
      if (askedTime + ASK_AGAIN_MS <= now) known.delete(name);
    }
    const room = MOST_NAMES - known.size;
    const due = [...references].filter(([name]) => !known.has(name)).slice(0, room);
    if (due.length === 0) return;
    const found = await readEnvironments(
      due.map(([, reference]) => reference),
      signal,
    );
    for (const [name] of due) known.set(name, { environment: found.get(name), askedTime: now });
  }

  function take(process: string, date: string, usage: EnvironmentUsage, now: number): void {
    const name = scopeName(usage.environment);
    const { environmentId, projectId } = known.get(name)?.environment ?? {};
    if (environmentId === undefined || projectId === undefined || !isMigrated(projectId)) return;
    const entries: ProjectEntries = projects.get(projectId) ?? new Map();
    const day = entries.get(date) ?? new Map<string, Entry>();
    const key = `${process} ${name}`;
    const before = day.get(key);
    if (before !== undefined && sizeOf(before) >= sizeOf(usage)) return;
    const added = rowsOf(usage) - (before === undefined ? 0 : rowsOf(before));
    if (rows + added > MOST_ROWS) {
      fullTime = now;
      return;
    }
    rows += added;
    const { environment: _, ...counted } = usage;
    day.set(key, { environmentId, ...counted });
    entries.set(date, day);
    projects.set(projectId, entries);
  }

  function forget(now: number): void {
    const first = dateOf(now - KEPT_DAYS * DAY_MS);
    for (const [projectId, entries] of projects) {
      for (const [date, day] of entries) {
        if (date >= first && isMigrated(projectId)) continue;
        for (const entry of day.values()) rows -= rowsOf(entry);
        entries.delete(date);
      }
      if (entries.size === 0) projects.delete(projectId);
    }
  }

  function judge(reports: readonly StoredReport[], now: number): void {
    const starts = reports.flatMap(({ report }) => (report.usage ? [Date.parse(report.startedTime)] : []));
    const uncounted = reports.flatMap(({ report, storedTime }) => {
      if (report.usage?.complete) return [];
      const isGone = report.goodbye || now - storedTime > freshMs;
      return [isGone ? storedTime : now];
    });
    // A process's reported start is a claim; before the stream's retention nothing is known.
    const earliest = now - KEPT_DAYS * DAY_MS;
    const latest = Math.max(...uncounted, fullTime ?? Number.NEGATIVE_INFINITY);
    evidence = {
      countingSince: starts.length === 0 ? undefined : Math.max(earliest, Math.min(...starts)),
      uncountedUntil: latest === Number.NEGATIVE_INFINITY ? undefined : latest,
    };
  }

  return {
    async follow(reports, now, signal) {
      judge(reports, now);
      firstIdentityDate = dateOf(now - (IDENTITY_DAYS - 1) * DAY_MS);
      const fresh = reports.filter((stored) => seen.get(nameOf(stored)) !== stored.sequence);
      const references = new Map<string, EnvironmentReference>();
      for (const { environment } of fresh.flatMap(listEnvironments))
        references.set(scopeName(environment), environment);
      await resolve(references, signal);
      const [first, last] = [dateOf(now - KEPT_DAYS * DAY_MS), dateOf(now + DAY_MS)];
      for (const { report } of fresh) {
        for (const { date, environments } of report.usage?.days ?? []) {
          if (date < first || date > last) continue;
          for (const one of environments) take(`${report.podUid} ${report.usage?.since}`, date, one, now);
        }
      }
      seen.clear();
      for (const stored of reports) seen.set(nameOf(stored), stored.sequence);
      forget(now);
    },
    project(projectId) {
      const summed = sums.get(projectId);
      const time = clock.monotonic();
      if (summed !== undefined && time - summed.time < SUM_MS)
        return { ...evidence, days: summed.days, identities: summed.identities };
      const entries = [...(projects.get(projectId) ?? [])].map(([date, day]) => [date, [...day.values()]] as const);
      const days = entries.map(([date, day]) => sumDay(date, day));
      const identities = countIdentities(entries.filter(([date]) => date >= firstIdentityDate));
      days.sort((one, other) => one.date.localeCompare(other.date));
      for (const [other, { time: then }] of sums) if (time - then >= SUM_MS) sums.delete(other);
      sums.set(projectId, { time, days, identities });
      return { ...evidence, days, identities };
    },
  };
}

const rowsOf = ({ clients, identities }: Pick<Entry, 'clients' | 'identities'>) =>
  clients.length + (identities === undefined ? 0 : 3);
/** Grows with each request, and with a request's names that come later. */
const sizeOf = ({ writes, reads, named = 0 }: { writes: number; reads: number; named?: number }) =>
  writes + reads + named;
const nameOf = ({ report }: StoredReport) => `${report.podUid}~${report.spoolId}`;
const listEnvironments = ({ report }: StoredReport) => report.usage?.days.flatMap((day) => day.environments) ?? [];

/** Per environment: the same identifier in another one is another identity. Undefined where some were not counted. */
function countIdentities(
  days: readonly (readonly [date: string, entries: readonly Entry[]])[],
): WrittenIdentities | undefined {
  const written = days.flatMap(([date, entries]) =>
    // The parts of a long request may arrive after midnight.
    entries.filter(({ writes, named = 0 }) => writes + named > 0).map((entry) => ({ date, ...entry })),
  );
  const sketches = new Map<number, Sketch>();
  for (const { environmentId, identities } of written) {
    if (identities === undefined) return undefined;
    const sketch = sketches.get(environmentId) ?? emptySketch();
    joinSketch(sketch, readSketch(identities));
    sketches.set(environmentId, sketch);
  }
  const estimate = [...sketches.values()].reduce((sum, sketch) => sum + estimateNames(sketch), 0);
  // A sketch is a claim. Releases that did not count names have at most one per request.
  const most = written.reduce((sum, { writes, named = writes }) => sum + named, 0);
  const count = Math.min(estimate, most);
  const [since] = written.map(({ date }) => date).toSorted();
  return count === 0 || since === undefined ? undefined : { count, since };
}

function sumDay(date: string, entries: readonly Entry[]): UsageDay {
  const rows = new Map<string, UsageRow>();
  for (const { environmentId, clients } of entries) {
    for (const [client, writes, reads] of clients) {
      const name = `${environmentId} ${client}`;
      const row = rows.get(name) ?? { environment: environmentId, client, writes: 0, reads: 0 };
      rows.set(name, { ...row, writes: row.writes + writes, reads: row.reads + reads });
    }
  }
  const latest = (times: readonly (string | null)[]) => {
    const all = times.flatMap((time) => (time === null ? [] : Date.parse(time)));
    return all.length === 0 ? undefined : Math.max(...all);
  };
  return {
    date,
    writes: entries.reduce((sum, { writes }) => sum + writes, 0),
    reads: entries.reduce((sum, { reads }) => sum + reads, 0),
    lastWrite: latest(entries.map(({ lastWrite }) => lastWrite)),
    lastRead: latest(entries.map(({ lastRead }) => lastRead)),
    rows: [...rows.values()].toSorted(byRequests),
  };
}
