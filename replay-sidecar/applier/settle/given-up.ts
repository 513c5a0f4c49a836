import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { coversMinute } from '@edge-migration/contract/edge-migration/gaps.ts';
import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import { decideAdmission } from '@edge-migration/contract/edge-migration/verdict.ts';
import { MINUTE_MS, type ParkedSubject } from '@edge-migration/contract/parked-place.ts';

type Timed = Pick<ParkedSubject, 'minute' | 'isUnreadable'>;

/**
 * Whether none of these EdgeMigrations needs a parked event any more: their windows had closed when its request began,
 * their copies read its result, or they have given it up. If the project of an event is unknown, all have to agree.
 * Pure.
 */
export function isGivenUp(place: Timed, migrations: readonly EdgeMigration[]): boolean {
  // An event that began at an unknown time can be in any window.
  const began = place.isUnreadable ? 0 : (place.minute ?? 0) * MINUTE_MS;
  return migrations.every(
    (migration) =>
      decideAdmission(migration, began).kind === 'drop' || isCopied(place, migration) || isDropped(place, migration),
  );
}

/** Longer than Core works on a request, including its background tasks. */
const LONGEST_WORK_MS = 3_600_000;

/** Whether Core was done with it before the copy read its first page. An event that came in a minute began no later. */
function isCopied({ minute }: Timed, { status }: EdgeMigration): boolean {
  if (minute === undefined) return false;
  return minute * MINUTE_MS + LONGEST_WORK_MS <= Date.parse(status.copy?.startTime ?? '');
}

/**
 * Whether a user has asked for it to be dropped (`spec.retry: drop-…`) and the status has a gap for it: the operator
 * writes that when it accepts the token, so that nothing is dropped without a gap.
 */
export function isDropped({ minute, isUnreadable }: Timed, { spec, status }: EdgeMigration): boolean {
  if (minute === undefined || !isDropToken(spec?.retry) || status.observedRetry !== spec?.retry) return false;
  const came = minute * MINUTE_MS;
  const start = Date.parse(status.copy?.startTime ?? '');
  return coversMinute(status.gaps, { from: isUnreadable ? start : Math.max(came, start), came });
}
