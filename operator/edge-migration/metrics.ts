import type { EdgeMigration, Status } from '@edge-migration/contract/edge-migration/api.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { Gauge, type Registry } from 'prom-client';
import { CONDITION_TYPES } from './conditions.ts';
import type { StreamView } from './stream.ts';

/** The sources of the series. docs/metrics.md says what each series means. */
export interface OperatorMetricSources {
  migrations: Pick<Reflector<EdgeMigration>, 'list'>;
  stream: Pick<StreamView, 'capture' | 'appliers'>;
  clock: Pick<Clock, 'now'>;
}

type Read = (status: Status, now: number) => number | undefined;

const seconds = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time) / 1000);

/** One number of each migration: name, help, and where in the status it is. */
const SERIES: readonly [string, string, Read][] = [
  ['copy_identities', 'Identities of the project when its copy was planned', ({ copy }) => copy?.identitiesTotal],
  ['copy_identities_read', 'Identities that the copy has read', ({ copy }) => copy?.identitiesRead],
  ['copy_identities_written', 'Documents that the copy has written', ({ copy }) => copy?.identitiesCopied],
  ['copy_identities_per_second', 'Speed of the copy now', ({ copy }) => copy?.identitiesPerSecond],
  ['copy_document_bytes', 'Size of the documents that the copy has encoded', ({ copy }) => copy?.documentBytes],
  ['copy_write_units', 'DynamoDB write units that the copy has used', ({ copy }) => copy?.writeUnits],
  ['copy_throttled_requests', 'Requests that DynamoDB has throttled', ({ copy }) => copy?.throttledRequests],
  ['copy_ranges', 'Ranges that the copy was divided into', ({ copy }) => copy?.rangesTotal],
  ['copy_ranges_done', 'Ranges that are done', ({ copy }) => copy?.rangesDone],
  ['copy_ranges_failed', 'Ranges that failed and are to be retried', ({ copy }) => copy?.rangesFailed],
  [
    'copy_progress_timestamp_seconds',
    'When the numbers of the copy last moved',
    ({ copy }) => seconds(copy?.progressTime),
  ],
  ['copy_completion_timestamp_seconds', 'When the copy was complete', ({ copy }) => seconds(copy?.completionTime)],
  ['replay_lag_seconds', 'Age of the oldest event that an applier has in flight', ({ replay }) => replay?.lagSeconds],
  ['replay_applied_events', 'Events after which Edge was compared with Core', ({ replay }) => replay?.eventsApplied],
  ['replay_dropped_events', 'Events that must not reach Edge', ({ replay }) => replay?.eventsDropped],
  ['replay_parked_events', 'Events that are parked now', ({ replay }) => replay?.eventsParked],
  [
    'replay_unstorable_identities',
    'Identities that Edge cannot hold, or not as a whole, while their writes are followed',
    ({ replay, unstorable }) => (replay === undefined ? undefined : (unstorable?.total ?? 0)),
  ],
  [
    'core_writes_per_day',
    'Requests of a day that wrote identities through Core',
    ({ replay }) => replay?.stillOnCore?.writesPerDay,
  ],
  [
    'core_reads_per_day',
    'Requests of a day that read identities from Core',
    ({ replay }) => replay?.stillOnCore?.readsPerDay,
  ],
  [
    'core_last_write_timestamp_seconds',
    'When a client last wrote identities through Core',
    ({ replay }) => seconds(replay?.stillOnCore?.lastWrite),
  ],
  [
    'core_unused',
    '1 when nothing has called Core for a week after the deadline, so that it can be switched off for the project',
    ({ replay }) => replay?.stillOnCore && Number(replay.stillOnCore.state === 'Gone'),
  ],
  [
    'replay_last_applied_timestamp_seconds',
    'When an event was last applied',
    ({ replay }) => seconds(replay?.lastAppliedTime),
  ],
  ['replay_deadline_timestamp_seconds', 'When replay ends', ({ replay }) => seconds(replay?.deadline)],
  [
    'replay_seconds_to_deadline',
    'Time left until replay ends; negative after it',
    ({ replay }, now) => {
      const deadline = seconds(replay?.deadline);
      return deadline === undefined ? undefined : deadline - now / 1000;
    },
  ],
];

const OF_A_MIGRATION = ['namespace', 'project_id'] as const;
const PREFIX = 'edge_migration_';

/** Series about the migrations, and about capture and replay in total; computed when they are scraped. */
export function registerMigrationMetrics(registry: Registry, parts: OperatorMetricSources): void {
  const registers = [registry];
  registerConditions(registry, parts);
  for (const [name, help, read] of SERIES) {
    new Gauge({
      name: PREFIX + name,
      help,
      labelNames: OF_A_MIGRATION,
      registers,
      collect() {
        this.reset();
        const now = parts.clock.now();
        for (const migration of parts.migrations.list()) {
          const value = read(migration.status, now);
          if (value !== undefined) this.set(labelsOf(migration), value);
        }
      },
    });
  }
  new Gauge({
    name: `${PREFIX}skipped_identities`,
    help: 'Identities that cannot be stored in Edge',
    labelNames: [...OF_A_MIGRATION, 'reason'],
    registers,
    collect() {
      this.reset();
      for (const migration of parts.migrations.list()) {
        for (const { reason, count } of migration.status.skipped?.byReason ?? [])
          this.set({ ...labelsOf(migration), reason }, count);
      }
    },
  });
  registerStream(registry, parts);
}

function registerConditions(registry: Registry, { migrations }: OperatorMetricSources) {
  new Gauge({
    name: 'edge_migrations',
    help: 'EdgeMigrations by the status of each condition',
    labelNames: ['condition', 'status'],
    registers: [registry],
    collect() {
      this.reset();
      for (const condition of CONDITION_TYPES) {
        for (const status of ['True', 'False', 'Unknown']) this.set({ condition, status }, 0);
      }
      for (const { status } of migrations.list()) {
        for (const { type, status: value } of status.conditions ?? []) this.inc({ condition: type, status: value });
      }
    },
  });
  new Gauge({
    name: `${PREFIX}condition`,
    help: '1 for the status and reason that each condition of an EdgeMigration has now',
    labelNames: [...OF_A_MIGRATION, 'condition', 'status', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const migration of migrations.list()) {
        for (const { type: condition, status, reason } of migration.status.conditions ?? [])
          this.set({ ...labelsOf(migration), condition, status, reason }, 1);
      }
    },
  });
}

function registerStream(registry: Registry, { stream }: OperatorMetricSources) {
  const gauge = (name: string, help: string, read: () => number | undefined) =>
    new Gauge({
      name: PREFIX + name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        const value = read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  const observed = () => {
    const capture = stream.capture();
    return capture.kind === 'observed' ? capture : undefined;
  };
  gauge('capture_required', '1 when a copy waits for capture', () => Number(stream.capture().kind !== 'disabled'));
  gauge('capture_covered', '1 while every Core API pod has a sidecar that proves its way to the stream', () => {
    const covered = observed()?.covered;
    return covered === undefined ? undefined : Number(covered);
  });
  gauge('stream_reachable', '1 while the reports of sidecars and appliers can be read', () => {
    const { kind } = stream.capture();
    return kind === 'disabled' ? undefined : Number(kind === 'observed');
  });
  gauge('coverage_gaps', 'Time ranges in which writes may be in no event', () => observed()?.gaps.length);
  gauge(
    'coverage_gaps_open',
    'Of these, the ones that last',
    () => observed()?.gaps.filter(({ until }) => until === undefined).length,
  );
  gauge('appliers', 'Edge appliers that reported a moment ago and may apply', () => stream.appliers());
}

const labelsOf = ({ namespace, name }: EdgeMigration) => ({
  namespace,
  project_id: name.slice(name.lastIndexOf('-') + 1),
});
