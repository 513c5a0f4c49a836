import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import type { CopySettings } from '@edge-migration/operator/requests/change.ts';
import { CommandError, EXIT } from './exit.ts';

/** Options of `plan` and `start`; the cluster sets defaults for absent ones. */
export interface SettingOptions {
  readonly parallelism?: number;
  readonly pageSize?: number;
  readonly maxWriteUnits?: number;
  readonly onConflict?: string;
  /** Seconds. */
  readonly window?: number;
}

/** @throws CommandError (usage) if the API server would reject a value */
export function readSettings({
  parallelism,
  pageSize,
  maxWriteUnits,
  onConflict,
  window,
}: SettingOptions): CopySettings {
  const copy = known({ parallelism, pageSize, maxWriteUnitsPerSecond: maxWriteUnits, onConflict });
  const replay = known({ windowSeconds: window });
  const settings = { ...(copy && { copy }), ...(replay && { replay }) };
  const judged = specSchema.pick({ copy: true, replay: true }).safeParse(settings);
  const problem = judged.error?.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; ');
  if (problem !== undefined) throw new CommandError(EXIT.usage, problem);
  return settings;
}

/** The options that are set; undefined if there are none. */
function known(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined);
  return set.length === 0 ? undefined : Object.fromEntries(set);
}
