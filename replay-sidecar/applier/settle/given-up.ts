import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { coversMinute } from '@edge-migration/contract/edge-migration/gaps.ts';
import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import { decideAdmission } from '@edge-migration/contract/edge-migration/verdict.ts';
import { MINUTE_MS, type ParkedSubject } from '@edge-migration/contract/parked-place.ts';

type Timed = Pick<ParkedSubject, 'minute' | 'isUnreadable'>;

/**
 * Whether an event that waits aside need not wait any more, for none of these EdgeMigrations: their windows were closed when
 * its request began, their copies read what came of it, or they have given it up. Of an event whose project nobody can tell,
 * all have to agree. Pure.
 */
export function isGivenUp(place: Timed, migrations: readonly EdgeMigration[]): boolean {
  // What began nobody knows when can be of any window.
  const began = place.isUnreadable ? 0 : (place.minute ?? 0) * MINUTE_MS;
  return migrations.every(
    (migration) =>
      decideAdmission(migration, began).kind === 'drop' || isCopied(place, migration) || isDropped(place, migration),
  );
}

/** Longer than Core works on a request, and on what it does for it in the background. */
const LONGEST_WORK_MS = 3_600_000;

/** Whether Core had done with it before the copy read its first page. Whatever came in a minute began no later. */
function isCopied({ minute }: Timed, { status }: EdgeMigration): boolean {
  if (minute === undefined) return false;
  return minute * MINUTE_MS + LONGEST_WORK_MS <= Date.parse(status.copy?.startTime ?? '');
}

/**
 * Whether somebody has asked for it to be dropped (`spec.retry: drop-…`), and the status has a gap for it: the operator
 * writes that when it takes the token, so that nothing is dropped of which no gap tells.
 */
export function isDropped({ minute, isUnreadable }: Timed, { spec, status }: EdgeMigration): boolean {
  if (minute === undefined || !isDropToken(spec?.retry) || status.observedRetry !== spec?.retry) return false;
  const came = minute * MINUTE_MS;
  const start = Date.parse(status.copy?.startTime ?? '');
  return coversMinute(status.gaps, { from: isUnreadable ? start : Math.max(came, start), came });
}
