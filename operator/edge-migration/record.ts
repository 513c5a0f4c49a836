import { z } from 'zod';
import type { EdgeMigration, Status } from './api.ts';
import { findCondition } from './conditions.ts';
import { parseJson } from './parse.ts';
import { statusSchema } from './status.ts';

/**
 * What of a status cannot be computed again once the work is over and let go of: that and when the copy was complete, what
 * was not captured, what was compared, that the window has closed. It is kept beside the EdgeMigration too, since a
 * status may be removed or put back by an edit or a restored backup.
 */
const recordSchema = z.object(statusSchema.shape).pick({
  observedRetry: true,
  conditions: true,
  copy: true,
  skipped: true,
  replay: true,
  gaps: true,
  verification: true,
});

export type StatusRecord = z.infer<typeof recordSchema>;

export const parseRecord = (text: string | undefined): StatusRecord | undefined => parseJson(text, recordSchema);

/** Conditions that later decisions go by, while they say so. */
const LASTING = ['Capturing/Disabled', 'Copied/True', 'Verified/True', 'Verified/False', 'Succeeded/True'];

/** What of a status is to be recorded, without what moves all the time; undefined before a copy has begun. */
export function recordStatus(status: Status): StatusRecord | undefined {
  const { observedRetry, copy, skipped, replay, gaps, verification } = status;
  if (copy?.startTime === undefined || copy.dryRun) return undefined;
  const isComplete = copy.completionTime !== undefined;
  const conditions = status.conditions?.filter(({ type, status: state, reason }) =>
    [`${type}/${state}`, `${type}/${reason}`].some((name) => LASTING.includes(name)),
  );
  // In the schema's order of fields, as it is read back.
  return recordSchema.parse({
    ...(observedRetry === undefined ? {} : { observedRetry }),
    conditions: (conditions ?? []).map(({ observedGeneration: _, ...condition }) => condition),
    copy: isComplete ? copy : { startTime: copy.startTime },
    ...(isComplete && skipped !== undefined ? { skipped } : {}),
    ...(replay?.deadline === undefined ? {} : { replay: { deadline: replay.deadline } }),
    ...(gaps === undefined ? {} : { gaps }),
    ...(verification === undefined ? {} : { verification: withoutProgress(verification) }),
  });
}

function withoutProgress({ current, ...others }: NonNullable<Status['verification']>): Status['verification'] {
  if (current === undefined) return others;
  const { progress: _, progressTime: __, attempt: ___, retryTime: ____, ...lasting } = current;
  return { ...others, current: lasting };
}

/** The EdgeMigration with what its status has lost of the record; the same one when it has lost nothing. */
export function restoreStatus(migration: EdgeMigration, record: StatusRecord | undefined): EdgeMigration {
  const { status } = migration;
  if (record === undefined || isWhole(status, record)) return migration;
  const lost = record.conditions ?? [];
  const kept = (status.conditions ?? []).filter(({ type }) => lost.every((other) => other.type !== type));
  const replay = { ...status.replay, ...record.replay };
  return { ...migration, status: { ...status, ...record, replay, conditions: [...lost, ...kept] } };
}

/** Every decision states all conditions and when the copy began, and that a copy is complete is never taken back. */
function isWhole({ conditions, copy }: Status, record: StatusRecord): boolean {
  const copied = findCondition(conditions, 'Copied');
  if (copied === undefined || copy?.startTime === undefined) return false;
  return record.copy?.completionTime === undefined || (copy.completionTime !== undefined && copied.status === 'True');
}
