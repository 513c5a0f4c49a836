import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { formatTime, recordedCondition } from '../edge-migration/conditions.ts';
import { formatDuration } from './duration.ts';

export const WARNING_CODES = [
  'core_not_followed',
  'core_still_written',
  'edge_overwritten',
  'removed_come_back',
  'gap',
] as const;
export type WarningCode = (typeof WARNING_CODES)[number];

/** An irreversible effect of a change. It is confirmed by its code: the text may contain a time, which changes. */
export interface Warning {
  readonly code: WarningCode;
  readonly text: string;
}

/** The effect of a command on one EdgeMigration. */
export type SpecChange =
  | {
      /** `patch`: the spec is a merge patch. */
      readonly kind: 'create' | 'patch';
      readonly spec: Patch;
      readonly message: string;
      /** Confirmed before the change is made. */
      readonly warnings?: readonly Warning[];
    }
  /** Nothing has to be changed. */
  | { readonly kind: 'leave'; readonly message: string }
  /** The state of the migration does not allow it. */
  | { readonly kind: 'refuse'; readonly message: string };

/** Part of a spec; null resets a field to its default. */
type Patch = Readonly<Record<string, unknown>>;

/** The settings of a spec that `plan` and `start` may set, besides the mode. */
export type CopySettings = {
  readonly copy?: Patch;
  readonly replay?: Patch;
};

/** As the CRD allows. */
const LONGEST_WINDOW_SECONDS = 31_536_000;
/**
 * How far ahead of the API server's clock a window is closed: sidecars' and appliers' clocks may differ from it, and
 * the appliers learn of the deadline slightly later.
 */
const CLOSING_SECONDS = 60;

const refuse = (message: string): SpecChange => ({ kind: 'refuse', message });
const leave = (message: string): SpecChange => ({ kind: 'leave', message });

/** Creates a plan; an existing one is kept, since a plan is made once. */
export function decidePlan(
  migration: EdgeMigration | undefined,
  projectId: number,
  settings: CopySettings,
): SpecChange {
  if (migration === undefined)
    return { kind: 'create', spec: { projectId, mode: 'Plan', ...settings }, message: 'is being planned' };
  if (migration.deleting) return refuse('is being deleted: plan again once it is gone');
  if (migration.spec?.mode === 'Migrate') return refuse('is a migration already, which does not become a plan again');
  if (Object.keys(settings).length > 0)
    return { kind: 'patch', spec: settings, message: 'is planned with other settings' };
  return leave('is planned already; delete it to plan again from the start');
}

/** Creates a migration, or turns a plan into one. */
export function decideStart(
  migration: EdgeMigration | undefined,
  projectId: number,
  settings: CopySettings,
): SpecChange {
  const warned = warnOfStart(migration, settings);
  if (migration === undefined)
    return { kind: 'create', spec: { projectId, mode: 'Migrate', ...settings }, message: 'is started', ...warned };
  if (migration.deleting) return refuse('is being deleted: start it once it is gone');
  if (migration.spec?.mode === 'Plan')
    return { kind: 'patch', spec: { mode: 'Migrate', ...settings }, message: 'was a plan and is started', ...warned };
  const window = settings.replay?.['windowSeconds'];
  if (window !== undefined && window !== migration.spec?.replay.windowSeconds && completionOf(migration) !== undefined)
    return refuse('is copied: `extend` and `finish` move the end of its window');
  if (Object.keys(settings).length > 0)
    return { kind: 'patch', spec: settings, message: 'has other settings now', ...warned };
  return leave(migration.spec?.suspend ? 'is suspended: resume it' : 'is started already');
}

/**
 * A copy in which Core wins overwrites what apps have written to Edge; for one that already does no confirmation is
 * needed.
 */
function warnOfStart(migration: EdgeMigration | undefined, { copy }: CopySettings): { warnings?: Warning[] } {
  const before = migration?.spec?.copy.onConflict;
  const rule = copy?.['onConflict'] ?? before;
  const isNew = migration?.spec?.mode === 'Plan' || before !== 'CoreWins';
  return rule === 'CoreWins' && isNew ? { warnings: [EDGE_OVERWRITTEN] } : {};
}

const EDGE_OVERWRITTEN: Warning = {
  code: 'edge_overwritten',
  text: 'values in Edge that differ from Core are overwritten, including those that apps have written to Edge',
};

export function decideSuspend({ spec }: EdgeMigration): SpecChange {
  if (spec?.suspend) return leave('is suspended already');
  return { kind: 'patch', spec: { suspend: true }, message: 'is suspended: events are kept, and the deadline stays' };
}

export function decideResume({ spec }: EdgeMigration): SpecChange {
  if (spec?.suspend === false) return leave('is not suspended');
  return { kind: 'patch', spec: { suspend: false }, message: 'is resumed' };
}

export type Request = 'retry' | 'verify' | 'repair';

/**
 * Sets a new `spec.retry`. A token that the operator has not taken yet is not replaced, since its request would be
 * forgotten.
 */
export function decideRequest(migration: EdgeMigration, request: Request, token: string, force: boolean): SpecChange {
  const { spec, status } = migration;
  if (spec?.retry !== undefined && spec.retry !== status.observedRetry && !force)
    return refuse(
      `has spec.retry ${spec.retry}, which the operator has not taken yet: wait for it (or replace it with --force)`,
    );
  if (request !== 'retry' && !isCopied(migration)) return refuse('is not copied yet: there is nothing to compare');
  const later = spec?.suspend ? ', once it is resumed' : '';
  const patch = { kind: 'patch', spec: { retry: token } } as const;
  if (request === 'retry') return { ...patch, message: `retries what failed${later}` };
  if (request === 'verify') return { ...patch, message: `compares Core and Edge${later}` };
  return { ...patch, message: `repairs what differs${later}`, warnings: [warnOfRepair(migration)] };
}

function warnOfRepair(migration: EdgeMigration): Warning {
  if (!isClosed(migration)) return EDGE_OVERWRITTEN;
  const text = 'identities that are missing in Edge are inserted, those too that were deleted there since';
  return { code: 'removed_come_back', text };
}

export type Extension = { readonly by: number } | { readonly until: number };

/**
 * Postpones the deadline.
 *
 * @param extension `by` in seconds, `until` in milliseconds since the epoch
 * @param now the API server's time, in milliseconds since the epoch
 */
export function decideExtend(migration: EdgeMigration, extension: Extension, now: number): SpecChange {
  const { spec } = migration;
  if (spec === undefined) return refuse(`has a spec that is not valid (${migration.specProblem})`);
  const { windowSeconds } = spec.replay;
  const completion = completionOf(migration);
  if ('until' in extension && completion === undefined)
    return refuse('is not copied yet, and its deadline counts from then: extend it by a duration (--by)');
  const wanted = 'by' in extension ? windowSeconds + extension.by : Math.ceil((extension.until - completion!) / 1000);
  if (wanted === windowSeconds) return leave('has this deadline already');
  if (wanted < windowSeconds) return refuse('has a later deadline than that: `finish` closes its window sooner');
  if (wanted > LONGEST_WINDOW_SECONDS) return refuse('would be followed for more than a year after its copy');
  const patch = { kind: 'patch', spec: { replay: { windowSeconds: wanted } } } as const;
  if (completion === undefined)
    return { ...patch, message: `follows Core for ${formatDuration(wanted)} after its copy` };
  const [former, deadline] = [windowSeconds, wanted].map((seconds) => completion + seconds * 1000) as [number, number];
  if (deadline <= now) return refuse(`would have stopped following Core at ${formatTime(deadline)}, which is past`);
  const message = `stops following Core at ${formatTime(deadline)}`;
  if (former > now) return { ...patch, message };
  const text = `its window closed at ${formatTime(former)}: writes to Core since then were not followed; they are a gap, after which both stores are compared`;
  return { ...patch, message, warnings: [{ code: 'gap', text }] };
}

/** Closes the replay window. @param now the API server's time, in milliseconds since the epoch */
export function decideFinish(migration: EdgeMigration, now: number): SpecChange {
  const { spec } = migration;
  if (spec === undefined) return refuse(`has a spec that is not valid (${migration.specProblem})`);
  if (spec.mode === 'Plan') return refuse('is a plan: there is nothing to finish');
  if (recordedCondition(migration.status.conditions, 'Succeeded')?.status === 'True')
    return leave('has succeeded already');
  const completion = completionOf(migration);
  if (!isCopied(migration) || completion === undefined)
    return refuse('is not copied yet: suspend it, or delete it to give up');
  if (spec.suspend) return refuse('is suspended: resume it first, so that what is kept is applied');
  const windowSeconds = Math.ceil((now - completion) / 1000) + CLOSING_SECONDS;
  if (windowSeconds >= spec.replay.windowSeconds)
    return leave('closes its window by itself within a minute, or has closed it');
  const time = formatTime(completion + windowSeconds * 1000);
  return {
    kind: 'patch',
    spec: { replay: { windowSeconds } },
    message: `stops following Core at ${time}`,
    warnings: [
      { code: 'core_not_followed', text: `writes that reach Core after ${time} will not reach Edge any more` },
      ...warnOfWriters(migration),
    ],
  };
}

function warnOfWriters({ status }: EdgeMigration): Warning[] {
  const { state, writesPerDay = 0, identities, identitiesSince } = status.replay?.stillOnCore ?? {};
  if (state !== 'Writing') return [];
  const requests = `${amount(writesPerDay, 'request', 'requests')} a day`;
  const since = identitiesSince === undefined ? '' : ` since ${identitiesSince}`;
  const about =
    identities === undefined ? '' : `, at least about ${amount(identities, 'identity', 'identities')}${since}`;
  const text = `apps still write identities through Core, about ${requests}${about}: each identity that they change differs in Edge from then on`;
  return [{ code: 'core_still_written', text }];
}

const amount = (count: number, one: string, more: string) =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : more}`;

const isCopied = ({ status }: EdgeMigration) => recordedCondition(status.conditions, 'Copied')?.status === 'True';

function isClosed({ status }: EdgeMigration): boolean {
  const succeeded = recordedCondition(status.conditions, 'Succeeded');
  const replaying = recordedCondition(status.conditions, 'Replaying');
  return [succeeded?.status === 'True' ? succeeded.reason : '', replaying?.reason].includes('WindowClosed');
}

/** When the copy was complete, from which the deadline counts; milliseconds since the epoch. */
function completionOf({ status }: EdgeMigration): number | undefined {
  const { completionTime, dryRun } = status.copy ?? {};
  return completionTime === undefined || dryRun ? undefined : Date.parse(completionTime);
}
