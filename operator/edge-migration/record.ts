import { isDeepStrictEqual } from 'node:util';
import type {
  Condition,
  EdgeMigration,
  GapStatus,
  ReplayStatus,
  Status,
  VerificationStatus,
} from '@edge-migration/contract/edge-migration/api.ts';
import { statusSchema } from '@edge-migration/contract/edge-migration/status.ts';
import { withAuthorities } from '@edge-migration/contract/edge-migration/verification-status.ts';
import { z } from 'zod';
import { recordedCondition } from './conditions.ts';
import { takesIn } from './gaps.ts';
import { parseJsonText } from './parse.ts';

/**
 * The part of a status that cannot be computed again once the work is over and removed: that and when the copy was
 * complete, what was not captured, what was compared, that the window has closed. It is also kept next to the
 * EdgeMigration, since a status may be removed or reverted by an edit or a restored backup.
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

export const parseRecord = (text: string | undefined): StatusRecord | undefined =>
  parseJsonText(text, z.preprocess(withAuthorities, recordSchema));

/** Conditions that later decisions depend on while they hold. */
const LASTING = ['Capturing/Disabled', 'Copied/True', 'Verified/True', 'Verified/False', 'Succeeded/True'];

/** The recorded part of a status, without what changes all the time; undefined before a copy has begun. */
export function recordStatus(status: Status): StatusRecord | undefined {
  const { observedRetry, copy, skipped, replay, gaps, verification } = status;
  if (copy?.startTime === undefined || copy.dryRun) return undefined;
  const isComplete = copy.completionTime !== undefined;
  const conditions = status.conditions?.filter(({ type, status: state, reason }) =>
    [`${type}/${state}`, `${type}/${reason}`].some((name) => LASTING.includes(name)),
  );
  // In the schema's field order, as it is read back.
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

/**
 * The EdgeMigration with the parts of the record that its status has lost; the same one when it has lost nothing.
 * Either may be newer: the record is written first, but the caches are independent. So where two things only ever
 * advance the further one counts, and of gaps and deadlines whatever claims less.
 */
export function restoreStatus(migration: EdgeMigration, record: StatusRecord | undefined): EdgeMigration {
  if (record === undefined) return migration;
  const { status: found, spec } = migration;
  const whole = isWhole(found, record) ? found : withLost(found, record);
  const status = joinRecord(whole, record, spec?.retry);
  return isDeepStrictEqual(status, found) ? migration : { ...migration, status };
}

/** Every decision states all conditions and when the copy began, and a copy's completion is never revoked. */
function isWhole({ conditions, copy }: Status, record: StatusRecord): boolean {
  const copied = recordedCondition(conditions, 'Copied');
  if (copied === undefined || copy?.startTime === undefined) return false;
  return record.copy?.completionTime === undefined || (copy.completionTime !== undefined && copied.status === 'True');
}

function withLost(status: Status, record: StatusRecord): Status {
  const replay = { ...status.replay, ...record.replay };
  const conditions = replaceConditions(status.conditions, record.conditions ?? []);
  return { ...status, ...record, gaps: status.gaps, replay, conditions };
}

/** A complete status may still have been reverted to an older one, from after the end of the copy. */
function joinRecord(status: Status, record: StatusRecord, token: string | undefined): Status {
  const isTaken = record.observedRetry !== undefined && record.observedRetry === token;
  const isComplete = record.copy?.completionTime !== undefined && status.copy?.completionTime !== undefined;
  const joined: Status = {
    ...status,
    ...(isTaken ? { observedRetry: record.observedRetry } : {}),
    // After its end a copy changes only in what is known of its override rows, which the record has first.
    ...(isComplete ? { copy: record.copy, skipped: record.skipped } : {}),
    conditions: replaceConditions(status.conditions, (record.conditions ?? []).filter(isOnceForAll)),
    replay: joinReplay(status.replay, record.replay),
    gaps: joinGaps(status.gaps, record.gaps),
    verification: furtherVerification(status.verification, record.verification),
  };
  return Object.fromEntries(Object.entries(joined).filter(([, part]) => part !== undefined));
}

/** What later decisions depend on, and revoke themselves where it has changed since. */
const isOnceForAll = ({ type, status, reason }: Condition): boolean =>
  (type === 'Capturing' && reason === 'Disabled') || (type === 'Succeeded' && status === 'True');

/** Returns the same array where nothing differs. */
function replaceConditions(
  conditions: readonly Condition[] | undefined,
  others: readonly Condition[],
): Condition[] | undefined {
  const isSame = (one: Condition, other: Condition) =>
    one.type === other.type && one.status === other.status && one.reason === other.reason;
  const lost = others.filter((other) => !conditions?.some((one) => isSame(one, other)));
  if (lost.length === 0) return conditions && [...conditions];
  return [...lost, ...(conditions ?? []).filter(({ type }) => lost.every((other) => other.type !== type))];
}

/** Since the earlier deadline appliers may have dropped events. */
function joinReplay(status: ReplayStatus | undefined, record: ReplayStatus | undefined): ReplayStatus | undefined {
  const deadlines = [status?.deadline, record?.deadline].filter((deadline) => deadline !== undefined);
  const [first] = deadlines.toSorted((a, b) => Date.parse(a) - Date.parse(b));
  return first === undefined ? status : { ...status, deadline: first };
}

/** Gaps of both; equal ones are merged where gaps are collected. Gaps that the record has joined stay joined. */
function joinGaps(status: GapStatus[] | undefined, record: GapStatus[] | undefined): GapStatus[] | undefined {
  if (status === undefined || record === undefined) return status ?? record;
  const isJoined = (gap: GapStatus) => record.some((other) => isDeepStrictEqual(other, gap) || takesIn(other, gap));
  return [...record, ...status.filter((gap) => !isJoined(gap))];
}

function furtherVerification(
  status: VerificationStatus | undefined,
  record: VerificationStatus | undefined,
): VerificationStatus | undefined {
  if (record === undefined || stageOf(status) > stageOf(record)) return status;
  if (stageOf(status) < stageOf(record) || status?.current === undefined) return record;
  // Its progress changes without the record.
  return { ...record, current: status.current };
}

/** Comparisons are numbered; each begins and ends once. */
const stageOf = ({ current, last }: VerificationStatus = {}): number =>
  Math.max(2 * (current?.run ?? 0) - 1, 2 * (last?.run ?? 0));
