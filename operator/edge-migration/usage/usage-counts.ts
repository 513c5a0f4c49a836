import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { StoredReport } from '../../coverage/decide.ts';
import { DAY_MS, dateOf, type UsageFact } from './days.ts';
import { EnvironmentNames, type ReadEnvironments } from './environment-names.ts';
import { countIdentities, sumDay } from './sum-days.ts';
import { UsageEntries } from './usage-entries.ts';

export interface UsageCountsSettings {
  readEnvironments: ReadEnvironments;
  /** Only counts of migrated projects are remembered. */
  isMigrated: (projectId: number) => boolean;
  clock: Pick<Clock, 'monotonic'>;
  freshMs: number;
}

/** Dates kept besides today's: one more than the week for which the stream keeps reports. */
const KEPT_DAYS = 8;
/** Dates whose identities are counted, including today's. */
const IDENTITY_DAYS = 7;
/** A project's entries are not added up for each decision. */
const SUM_MS = 30_000;

/**
 * Adds up the sidecars' counts of the clients that call Core.
 *
 * Sidecars report how much they have counted on each day since they started, and the stream keeps their last reports
 * for a week. So a day is the sum over all processes of the maximum that each has reported: repeated reports, a
 * restarted operator and its replicas change nothing, and a restarted sidecar is another process that begins at zero.
 */
export class UsageCounts {
  private readonly settings: UsageCountsSettings;
  private readonly names: EnvironmentNames;
  private readonly entries = new UsageEntries();
  private readonly seen = new Map<string, number>();
  private readonly sums = new Map<number, Pick<UsageFact, 'days' | 'identities'> & { readonly time: number }>();
  private evidence: Pick<UsageFact, 'countingSince' | 'uncountedUntil'> = {
    countingSince: undefined,
    uncountedUntil: undefined,
  };
  private firstIdentityDate = '';

  constructor(settings: UsageCountsSettings) {
    this.settings = settings;
    this.names = new EnvironmentNames(settings.readEnvironments, settings.clock);
  }

  /**
   * Takes in reports, with their times by the stream's clock, as often as they are read: repeated ones change nothing.
   *
   * @param now by the stream's clock
   * @throws Core's errors when it cannot be asked; the same reports may be taken in later
   */
  async follow(reports: readonly StoredReport[], now: number, signal: AbortSignal): Promise<void> {
    this.judge(reports, now);
    this.firstIdentityDate = dateOf(now - (IDENTITY_DAYS - 1) * DAY_MS);
    const fresh = reports.filter((stored) => this.seen.get(nameOf(stored)) !== stored.sequence);
    await this.names.resolve(fresh.flatMap(listEnvironments), signal);
    for (const stored of fresh) this.take(stored, now);
    this.seen.clear();
    for (const stored of reports) this.seen.set(nameOf(stored), stored.sequence);
    this.entries.keep(dateOf(now - KEPT_DAYS * DAY_MS), this.settings.isMigrated);
  }

  project(projectId: number): UsageFact {
    const { sums, evidence } = this;
    const time = this.settings.clock.monotonic();
    const summed = sums.get(projectId);
    if (summed !== undefined && time - summed.time < SUM_MS)
      return { ...evidence, days: summed.days, identities: summed.identities };
    const entries = this.entries.ofProject(projectId);
    const days = entries.map(([date, day]) => sumDay(date, day));
    const identities = countIdentities(entries.filter(([date]) => date >= this.firstIdentityDate));
    days.sort((one, other) => one.date.localeCompare(other.date));
    for (const [other, { time: then }] of sums) if (time - then >= SUM_MS) sums.delete(other);
    sums.set(projectId, { time, days, identities });
    return { ...evidence, days, identities };
  }

  private take({ report }: StoredReport, now: number): void {
    const [first, last] = [dateOf(now - KEPT_DAYS * DAY_MS), dateOf(now + DAY_MS)];
    for (const { date, environments } of report.usage?.days ?? []) {
      if (date < first || date > last) continue;
      for (const usage of environments) {
        const environment = this.names.find(usage.environment);
        if (environment === undefined || !this.settings.isMigrated(environment.projectId)) continue;
        const key = `${report.podUid} ${report.usage?.since} ${scopeName(usage.environment)}`;
        this.entries.take(environment, date, key, usage, now);
      }
    }
  }

  private judge(reports: readonly StoredReport[], now: number): void {
    const starts = reports.flatMap(({ report }) => (report.usage ? [Date.parse(report.startedTime)] : []));
    const uncounted = reports.flatMap(({ report, storedTime }) => {
      if (report.usage?.complete) return [];
      const isGone = report.goodbye || now - storedTime > this.settings.freshMs;
      return [isGone ? storedTime : now];
    });
    // A process's reported start is a claim; before the stream's retention nothing is known.
    const earliest = now - KEPT_DAYS * DAY_MS;
    const latest = Math.max(...uncounted, this.entries.fullTime ?? Number.NEGATIVE_INFINITY);
    this.evidence = {
      countingSince: starts.length === 0 ? undefined : Math.max(earliest, Math.min(...starts)),
      uncountedUntil: latest === Number.NEGATIVE_INFINITY ? undefined : latest,
    };
  }
}

const nameOf = ({ report }: StoredReport) => `${report.podUid}~${report.spoolId}`;
const listEnvironments = ({ report }: StoredReport) =>
  report.usage?.days.flatMap(({ environments }) => environments.map(({ environment }) => environment)) ?? [];
