import { type EdgeMigration, projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import { formatDuration } from '../requests/duration.ts';
import { renderTable } from './table.ts';

export interface ListOptions {
  readonly wide: boolean;
  readonly withNamespace: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The columns of `kubectl get em`, for any number of migrations. */
export function renderList(migrations: readonly EdgeMigration[], { wide, withNamespace, now }: ListOptions): string {
  const columns: [string, (migration: EdgeMigration) => string | undefined][] = [
    ...(withNamespace ? [['NAMESPACE', ({ namespace }: EdgeMigration) => namespace] as [string, typeof String]] : []),
    ['NAME', ({ name }) => name],
    ['PROJECT', (migration) => String(projectOf(migration))],
    ['PHASE', describePhase],
    ['PROGRESS', ({ status }) => status.progress],
    ['LAG', ({ status }) => status.replay?.lag],
    ['DEADLINE', ({ status }) => status.replay?.deadline],
    ['AGE', ({ creationTime }) => formatDuration((now - Date.parse(creationTime)) / 1000)],
    ...(wide ? WIDE : []),
  ];
  return renderTable(
    columns.map(([name]) => name),
    migrations.map((migration) => columns.map(([, read]) => read(migration))),
  );
}

const WIDE: [string, (migration: EdgeMigration) => string | undefined][] = [
  ['SKIPPED', ({ status }) => status.skipped?.total.toString()],
  ['FAILED', ({ status }) => status.copy?.rangesFailed?.toString()],
  ['MESSAGE', ({ status }) => status.message],
];

/** The phase, or what is known before the operator has processed it. */
export function describePhase({ status, deleting }: EdgeMigration): string {
  if (deleting) return 'Deleting';
  return status.phase ?? 'Unknown';
}
