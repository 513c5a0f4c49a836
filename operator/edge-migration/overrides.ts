import type { CopyStatus, EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { Facts } from './facts.ts';

type WithTable = { readonly overridesTable?: string | undefined };
type Settings = Pick<Facts, 'settings'>;

/** The configured table of override rows where all ranges had it from start to end; otherwise undefined. */
export function agreeOnTable(
  { settings: { overridesTable } }: Settings,
  checkpoints: readonly WithTable[],
): string | undefined {
  return checkpoints.every((range) => range.overridesTable === overridesTable) ? overridesTable : undefined;
}

/**
 * The table of override rows for `status.copy`. What was shown of a table counts while it is the configured one: while
 * it is not, replay does not write to it.
 *
 * @param shown the table that a comparison has just found to have every row
 */
export function followTable(
  { settings: { overridesTable: configured } }: Settings,
  copy: CopyStatus | undefined,
  shown: string | undefined,
): CopyStatus | undefined {
  if (copy?.completionTime === undefined) return copy;
  const { overridesTable: known = shown, ...others } = copy;
  return known === undefined || known !== configured ? others : { ...others, overridesTable: known };
}

/** Whether Flagsmith may be told that every override has its row in the configured table; true where there is none. */
export function hasOverrides(
  { status }: Pick<EdgeMigration, 'status'>,
  { overridesTable }: Facts['settings'],
): boolean {
  return overridesTable === undefined || status.copy?.overridesTable === overridesTable;
}
