import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { ProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { EdgeError } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { MARKS_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { Action } from '../actions.ts';
import { recordedCondition } from '../conditions.ts';
import type { Facts } from '../facts.ts';
import type { MarksFact } from './facts.ts';

/** The marks of projects as the operator reads and writes them. */
export interface Marks extends Pick<ProjectMetadata, 'markStarted' | 'markCompleted'> {
  /** The last reading, or a new one when that is old. Throws nothing but the signal's reason. */
  read(projectId: number, signal: AbortSignal): Promise<MarksFact>;
  /** The project's EdgeMigration is gone. */
  forget(projectId: number): void;
  readonly size: number;
}

/**
 * Flagsmith puts the whole item, without a condition, after it has sent the event that starts a migration: a late put
 * reverts what was written meanwhile.
 */
const KEPT_MS = 10 * 60_000;

/** Remembers for a while what it has read or written. */
export function createMarks(metadata: ProjectMetadata, clock: Pick<Clock, 'monotonic'>): Marks {
  const seen = new Map<number, { fact: MarksFact; until: number }>();

  function remember(projectId: number, fact: MarksFact): MarksFact {
    seen.set(projectId, { fact, until: clock.monotonic() + MARKS_POLL_MS.listed });
    return fact;
  }

  return {
    async read(projectId, signal) {
      const known = seen.get(projectId);
      if (known !== undefined && clock.monotonic() < known.until) return known.fact;
      try {
        return remember(projectId, { kind: 'observed', ...(await metadata.read(projectId, { signal })) });
      } catch (error) {
        if (!(error instanceof EdgeError)) throw error;
        return remember(projectId, { kind: 'problem', reason: error.name, message: error.message });
      }
    },
    async markStarted(projectId, options) {
      const outcome = await metadata.markStarted(projectId, options);
      seen.delete(projectId);
      return outcome;
    },
    async markCompleted(projectId, options) {
      const outcome = await metadata.markCompleted(projectId, options);
      remember(projectId, { kind: 'observed', started: true, completed: true });
      return outcome;
    },
    forget: (projectId) => void seen.delete(projectId),
    get size() {
      return seen.size;
    },
  };
}

type Known = Pick<Facts, 'migration' | 'marks' | 'forwardingPod' | 'corePodsUnknown' | 'now'>;

/** Since when the marks should exist, in milliseconds since the epoch. */
function findSince({ spec, status }: EdgeMigration, isCopied: boolean): number {
  const times = (['Copied', 'EdgeReady'] as const).map((type) => recordedCondition(status.conditions, type));
  const met = times.flatMap((each) => (each?.status === 'True' ? [Date.parse(each.lastTransitionTime)] : []));
  const start = isCopied || spec?.mode !== 'Migrate' ? undefined : status.copy?.startTime;
  return Math.max(...met, start === undefined ? Number.NEGATIVE_INFINITY : Date.parse(start));
}

/** Whether anything would follow from reading the marks. */
export function areMarksSought({ migration, forwardingPod, now }: Omit<Known, 'marks'>): boolean {
  if (migration.spec?.mode !== 'Migrate') return false;
  const isOver = recordedCondition(migration.status.conditions, 'Succeeded')?.status === 'True';
  return (forwardingPod !== undefined && !isOver) || isRecent(migration, now);
}

function isRecent(migration: EdgeMigration, now: number): boolean {
  const isCopied = recordedCondition(migration.status.conditions, 'Copied')?.status === 'True';
  return now - findSince(migration, isCopied) < KEPT_MS;
}

/** Why the marks are not written although Edge is ready; undefined when nothing prevents it. */
export function findHindrance({
  migration,
  marks,
  forwardingPod,
  corePodsUnknown,
}: Known): { kind: 'forwards'; message: string } | { kind: 'unknown'; reason: string; message: string } | undefined {
  if (marks === undefined || migration.spec?.mode !== 'Migrate') return undefined;
  if (corePodsUnknown) {
    return { kind: 'unknown', reason: 'NotChecked', message: 'the pods of the Core API have not been listed yet' };
  }
  if (forwardingPod === undefined || marks.kind === 'unread') return undefined;
  if (marks.kind === 'problem') return { kind: 'unknown', reason: marks.reason, message: marks.message };
  if (marks.completed) return undefined;
  return {
    kind: 'forwards',
    message: `the project is not marked as migrated while pod ${forwardingPod} of the Core API has EDGE_API_URL: Core would also begin to forward its requests to Edge, over newer values. Remove EDGE_API_URL from the Core API until the replay window has closed (docs/cutover.md)`,
  };
}

/** The actions that preserve the marks, besides writing them in time: none while they exist. */
export function keepMarks(
  known: Known,
  { isCopied, hasBegun }: { isCopied: boolean; hasBegun: boolean },
): { late: Action[]; nextTime: number | undefined } {
  const { migration, marks, now } = known;
  if (marks === undefined || !isRecent(migration, now)) return { late: [], nextTime: undefined };
  const nextTime = now + MARKS_POLL_MS.listed;
  if (marks.kind !== 'observed') return { late: [], nextTime };
  if (isCopied) return { late: marks.completed ? [] : [{ kind: 'markCompleted' }], nextTime };
  return { late: hasBegun && !marks.started ? [{ kind: 'markStarted' }] : [], nextTime };
}

/** When to check again what prevents the marks. */
export const nextHindranceCheckTime = (
  { now, corePodsUnknown }: Known,
  hindrance: ReturnType<typeof findHindrance>,
): number | undefined =>
  hindrance === undefined ? undefined : now + (corePodsUnknown ? MARKS_POLL_MS.unlisted : MARKS_POLL_MS.listed);
