import { parsePlace } from '@edge-migration/contract/parked-place.ts';
import type { Away } from '@edge-migration/identity/edge/failover.ts';
import type { Silence } from '@edge-migration/identity/edge/table/table.ts';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Parking } from '../settle/parking.ts';
import type { Backlog } from './backlog.ts';
import type { Counts, ProjectCounts } from './counts.ts';
import type { InHand } from './reporter.ts';

export interface ApplierMetricSources {
  counts: Counts;
  parking: Pick<Parking, 'parked'>;
  backlog: Pick<Backlog, 'pending'>;
  /** Events in flight. */
  inHand(): number;
  /** Those that wait or are being applied, by project. */
  waiting(): ReadonlyMap<number, InHand>;
  writeUnits(): { units: number; throttled: number };
  /** Of the home region. */
  homeSilence(): Silence | undefined;
  away(): Pick<Away, 'region'> | undefined;
  /** Milliseconds since the epoch. */
  now(): number;
}

const PREFIX = 'edge_migration_applier_';

/** The applier's metrics, read from its parts at each scrape. */
export function registerApplierMetrics(registry: Registry, parts: ApplierMetricSources): void {
  const { counts } = parts;
  registerProjects(registry, parts);
  registerWaiting(registry, parts);
  const total = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `${PREFIX}${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: PREFIX + name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });

  total('foreign_events', 'Events of projects without an EdgeMigration', () => counts.foreign);
  total('ignored_events', 'Test events, and events that concern no document', () => counts.ignored);
  total('unreadable_messages', 'Messages that are no events', () => counts.unreadable);
  total('write_units', 'DynamoDB write units spent', () => parts.writeUnits().units);
  total('throttled_requests', 'Requests that DynamoDB throttled', () => parts.writeUnits().throttled);
  gauge('in_hand_events', 'Events delivered to this process and not done with', parts.inHand);
  const silence = () => (parts.homeSilence()?.lastedMs ?? 0) / 1000;
  gauge('edge_unreachable_seconds', "For how long Edge's home region has not answered", silence);
  new Gauge({
    name: `${PREFIX}away`,
    help: '1 while Edge is written in this region instead of the home region',
    labelNames: ['region'],
    registers: [registry],
    collect() {
      this.reset();
      const away = parts.away();
      if (away !== undefined) this.set({ region: away.region }, 1);
    },
  });
  gauge('pending_events', 'Events in the stream that have not been delivered yet', parts.backlog.pending);
}

/** Outcomes of each project's events. */
function registerProjects(registry: Registry, { counts }: Pick<ApplierMetricSources, 'counts'>): void {
  const perProject = (
    name: string,
    help: string,
    label: string,
    read: (one: ProjectCounts) => Record<string, number>,
  ) =>
    new Counter({
      name: `${PREFIX}${name}_total`,
      help,
      labelNames: ['project', label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [project, one] of counts.projects) {
          for (const [value, number] of Object.entries(read(one))) this.inc({ project, [label]: value }, number);
        }
      },
    });

  perProject('applied_events', 'Events applied, by what it came to', 'outcome', ({ applied }) => applied);
  perProject('dropped_events', 'Events that must not reach Edge', 'reason', ({ dropped }) => dropped);
  perProject(
    'rechecks',
    'Rechecks of what was applied on tables of several regions, by whether it still held',
    'outcome',
    ({ rechecks }) => rechecks,
  );
  perProject('parked_events', 'Times that an event was parked', 'reason', ({ parked }) => parked);
  perProject('work', 'Documents read, pages fanned out, tries that failed', 'kind', (one) => ({
    converged: one.converged,
    fannedOut: one.fannedOut,
    failed: one.failed,
  }));
}

/** Waiting events of each project: here to be applied, or parked for its EdgeMigration. */
function registerWaiting(
  registry: Registry,
  { waiting, parking, now }: Pick<ApplierMetricSources, 'waiting' | 'parking' | 'now'>,
): void {
  new Gauge({
    name: `${PREFIX}waiting_events`,
    help: 'Events in flight that wait or are being applied',
    labelNames: ['project'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [project, { events }] of waiting()) this.set({ project }, events);
    },
  });
  new Gauge({
    name: `${PREFIX}oldest_waiting_event_age_seconds`,
    help: 'Since the end of the API response, of the oldest event in flight that waits to be applied',
    labelNames: ['project'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [project, { oldestObserved }] of waiting()) {
        if (oldestObserved !== undefined) this.set({ project }, Math.max(0, now() - oldestObserved) / 1000);
      }
    },
  });
  new Gauge({
    name: `${PREFIX}parked`,
    help: 'Events that wait for their EdgeMigration; project 0: unknown',
    labelNames: ['project', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [subject, events] of parking.parked) {
        const place = parsePlace(subject);
        if (place !== undefined) this.inc({ project: place.projectId, reason: place.reason }, events);
      }
    },
  });
}

/** How late events were when they were applied. */
export interface LagHistogram {
  /** In milliseconds. */
  observe(projectId: number, lagMs: number): void;
  /** Forgets all other projects. */
  keep(isKept: (projectId: number) => boolean): void;
}

export function createLagHistogram(registry: Registry): LagHistogram {
  const projects = new Set<number>();
  const histogram = new Histogram({
    name: `${PREFIX}lag_seconds`,
    help: 'From the end of the API response to Edge, of each event applied',
    labelNames: ['project'],
    buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10, 30, 60, 300, 3600],
    registers: [registry],
  });
  return {
    observe(project, lagMs) {
      projects.add(project);
      histogram.observe({ project }, Math.max(0, lagMs) / 1000);
    },
    keep(isKept) {
      for (const project of projects) {
        if (isKept(project)) continue;
        projects.delete(project);
        histogram.remove({ project });
      }
    },
  };
}
