import { type EdgeMigration, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import { formatDuration } from '../requests/duration.ts';
import { describePhase } from './list.ts';
import { printable } from './printable.ts';
import { describeDistance } from './status.ts';
import { formatCount } from './table.ts';

const BAR_COLUMNS = 24;

/** Share of the copy that is done, 0 to 1; undefined before the identities are counted. */
function shareOf({ status: { copy } }: EdgeMigration): number | undefined {
  if (copy?.identitiesTotal === undefined) return undefined;
  return copy.identitiesTotal === 0 ? 1 : Math.min(1, (copy.identitiesRead ?? 0) / copy.identitiesTotal);
}

/** One migration as one line, without empty parts. @param now milliseconds since the epoch */
export function describeProgress(migration: EdgeMigration, now: number): string {
  return printable([titleOf(migration), describePhase(migration), ...listProgress(migration, now)].join('  '));
}

function listProgress({ spec, status }: EdgeMigration, now: number): string[] {
  const { copy = {}, replay = {}, skipped, gaps = [] } = status;
  const isRunning = copy.startTime !== undefined && copy.completionTime === undefined;
  const parts: (string | false | undefined)[] = [
    status.progress,
    isRunning && copy.identitiesPerSecond !== undefined && `${formatCount(copy.identitiesPerSecond)}/s`,
    isRunning &&
      copy.estimatedCompletionTime !== undefined &&
      `ETA ${formatDuration((Date.parse(copy.estimatedCompletionTime) - now) / 1000)}`,
    isRunning && spec !== undefined && `at most ${formatCount(spec.copy.maxWriteUnitsPerSecond)} WU/s`,
    skipped !== undefined && skipped.total > 0 && `skipped ${formatCount(skipped.total)}`,
    replay.lag !== undefined && `lag ${replay.lag}`,
    replay.deadline !== undefined && `deadline ${describeDistance(replay.deadline, now)}`,
    describeStillWriting(replay),
    gaps.length > 0 && `gaps ${gaps.length}`,
  ];
  return parts.filter((part) => typeof part === 'string');
}

/** An unknown count is not shown as zero. */
function describeStillWriting({ stillOnCore }: NonNullable<EdgeMigration['status']['replay']>): string | undefined {
  if (stillOnCore?.state === 'Gone') return 'no clients on Core';
  const { writesPerDay } = stillOnCore ?? {};
  return writesPerDay === undefined || writesPerDay === 0
    ? undefined
    : `still ${formatCount(writesPerDay)} writes/day to Core`;
}

/**
 * One migration as lines of a terminal: a progress bar if there is a count, and the obstacles.
 *
 * @param columns longer lines are cut, so that each takes one line of the terminal
 */
export function renderProgress(migration: EdgeMigration, now: number, columns: number): string[] {
  const share = shareOf(migration);
  const filled = Math.round((share ?? 0) * BAR_COLUMNS);
  const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR_COLUMNS - filled)}]  `;
  const { message } = migration.status;
  const lines = [
    `${titleOf(migration)}  ${describePhase(migration)}`,
    `  ${bar}${listProgress(migration, now).join('  ')}`,
    ...(message === undefined ? [] : [`  ${message}`]),
  ];
  return lines.filter((line) => line.trim() !== '').map((line) => cut(printable(line), columns));
}

const cut = (line: string, columns: number) =>
  line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;

/** The migration has ended by itself: nothing more happens until its spec is changed. */
export type MigrationOutcome = 'succeeded' | 'failed';

export function findOutcome({ generation, status }: EdgeMigration): MigrationOutcome | undefined {
  // The result of an older spec does not count as an end.
  if ((status.observedGeneration ?? 0) < generation) return undefined;
  const succeeded = status.conditions?.find(({ type }) => type === 'Succeeded');
  if (succeeded?.status === 'Unknown' || succeeded === undefined) return undefined;
  return succeeded.status === 'True' ? 'succeeded' : 'failed';
}
