import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { recordedCondition } from './conditions.ts';
import type { StatusRecord } from './record.ts';

/** By then every status has what was found, and keeps it. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/**
 * Since when gaps matter: no unfinished migration has read anything from Core before, nor will a later one.
 *
 * @param recordOf the stored part of the status, which may be lost
 * @param now milliseconds since the epoch, as the result
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
