import type { EnvironmentUsage } from '@edge-migration/contract/reports/usage.ts';
import type { ReferencedEnvironment } from '@edge-migration/identity/core/environment-references.ts';

/** One process's counts for one environment under one of its keys, on one day. */
export interface Entry extends Omit<EnvironmentUsage, 'environment'> {
  environmentId: number;
}

/** By date, then by process and key. */
type ProjectEntries = Map<string, Map<string, Entry>>;

/** Limit for clients and sketches in all entries, some hundred bytes each, against invented reports. */
const MOST_ROWS = 300_000;

/** What each process has counted at most, by project and day. */
export class UsageEntries {
  private readonly projects = new Map<number, ProjectEntries>();
  private rows = 0;
  private rejectedTime: number | undefined;

  /** When counts were last left out because there are too many. */
  get fullTime(): number | undefined {
    return this.rejectedTime;
  }

  /**
   * @param key of process and environment
   * @param now by the stream's clock
   */
  take(
    { environmentId, projectId }: ReferencedEnvironment,
    date: string,
    key: string,
    { environment: _, ...usage }: EnvironmentUsage,
    now: number,
  ): void {
    const entries: ProjectEntries = this.projects.get(projectId) ?? new Map();
    const day = entries.get(date) ?? new Map<string, Entry>();
    const before = day.get(key);
    if (before !== undefined && sizeOf(before) >= sizeOf(usage)) return;
    const added = rowsOf(usage) - (before === undefined ? 0 : rowsOf(before));
    if (this.rows + added > MOST_ROWS) {
      this.rejectedTime = now;
      return;
    }
    this.rows += added;
    day.set(key, { environmentId, ...usage });
    entries.set(date, day);
    this.projects.set(projectId, entries);
  }

  /** Keeps only these projects, and days from this one on. */
  keep(first: string, isKept: (projectId: number) => boolean): void {
    for (const [projectId, entries] of this.projects) {
      for (const [date, day] of entries) {
        if (date >= first && isKept(projectId)) continue;
        for (const entry of day.values()) this.rows -= rowsOf(entry);
        entries.delete(date);
      }
      if (entries.size === 0) this.projects.delete(projectId);
    }
  }

  ofProject(projectId: number): (readonly [date: string, entries: readonly Entry[]])[] {
    return [...(this.projects.get(projectId) ?? [])].map(([date, day]) => [date, [...day.values()]] as const);
  }
}

const rowsOf = ({ clients, identities }: Pick<Entry, 'clients' | 'identities'>) =>
  clients.length + (identities === undefined ? 0 : 3);
/** Grows with each request, and with a request's names that come later. */
const sizeOf = ({ writes, reads, named = 0 }: { writes: number; reads: number; named?: number }) =>
  writes + reads + named;
