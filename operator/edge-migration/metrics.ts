import { Gauge, type Registry } from 'prom-client';
import type { Reflector } from '../kubernetes/reflector.ts';
import type { CopyStatus, EdgeMigration } from './api.ts';

/** Name of the series and the field of `status.copy` that it shows. */
const COPY_SERIES: readonly [string, keyof CopyStatus, string][] = [
  ['edge_migration_copy_identities', 'identitiesTotal', 'Identities of the project when its copy was planned.'],
  ['edge_migration_copy_identities_read', 'identitiesRead', 'Identities that the copy has looked at.'],
  ['edge_migration_copy_identities_written', 'identitiesCopied', 'Documents that the copy has written.'],
  ['edge_migration_copy_write_units', 'writeUnits', 'DynamoDB write units that the copy has used.'],
  ['edge_migration_copy_throttled_requests', 'throttledRequests', 'Requests that DynamoDB has throttled.'],
  ['edge_migration_copy_ranges', 'rangesTotal', 'Ranges that the copy was divided into.'],
  ['edge_migration_copy_ranges_done', 'rangesDone', 'Ranges that are done.'],
  ['edge_migration_copy_ranges_failed', 'rangesFailed', 'Ranges that failed and are to be tried again.'],
];

/** Series about the migrations themselves, measured from the cache when they are asked for. */
export function registerMigrationMetrics(registry: Registry, migrations: Pick<Reflector<EdgeMigration>, 'list'>): void {
  new Gauge({
    name: 'edge_migrations',
    help: 'EdgeMigrations by the status of each condition.',
    labelNames: ['condition', 'status'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { status } of migrations.list()) {
        for (const condition of status.conditions ?? [])
          this.inc({ condition: condition.type, status: condition.status });
      }
    },
  });
  const labelNames = ['namespace', 'project_id'] as const;
  for (const [name, field, help] of COPY_SERIES) {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { namespace, spec, status } of migrations.list()) {
          const value = status.copy?.[field];
          if (typeof value === 'number') this.set({ namespace, project_id: String(spec?.projectId) }, value);
        }
      },
    });
  }
  new Gauge({
    name: 'edge_migration_skipped_identities',
    help: 'Identities that cannot be stored in Edge.',
    labelNames: [...labelNames, 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { namespace, spec, status } of migrations.list()) {
        for (const { reason, count } of status.skipped?.byReason ?? []) {
          this.set({ namespace, project_id: String(spec?.projectId), reason }, count);
        }
      }
    },
  });
}
