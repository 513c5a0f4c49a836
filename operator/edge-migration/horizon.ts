import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { recordedCondition } from './conditions.ts';
import type { StatusRecord } from './record.ts';

/** By then every status has what was found; it keeps that for itself. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/**
 * Since when gaps matter: no migration that is not done has read anything of Core before, and none that begins later will
 * have.
 *
 * @param recordOf what was kept of the status, which may be lost
 * @param now milliseconds since the epoch, as the answer
 */
export function findHorizon(
  migrations: readonly EdgeMigration[],
  recordOf: (migration: EdgeMigration) => StatusRecord | undefined,
  now: number,
): number {
  const starts = migrations.filter(isActive).flatMap((migration) => {
    const startTime = migration.status.copy?.startTime ?? recordOf(migration)?.copy?.startTime;
    return startTime === undefined ? [] : [Date.parse(startTime)];
  });
  return starts.reduce((first, start) => Math.min(first, start), now) - KEPT_MS;
}

const isActive = ({ status }: EdgeMigration): boolean =>
  recordedCondition(status.conditions, 'Succeeded')?.status !== 'True';
