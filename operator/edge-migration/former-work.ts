import { type EdgeMigration, isComparison } from '@edge-migration/contract/edge-migration/api.ts';
import type { ObjectChange } from '@edge-migration/kubernetes/store.ts';
import { type Clock, leastSince, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import type { Owned } from './parse.ts';
import type { PodFact } from './pods.ts';

/**
 * When pods were last seen that may have written for a project and belong to no Job of its present plan: of an EdgeMigration
 * that was deleted and made again, or of a plan that was removed. What they had sent may arrive after they are gone, when
 * the present copy knows nothing of them (docs/design.md, "Convergence", rule 9).
 */
export interface FormerWork {
  notice(change: ObjectChange<Owned<PodFact>>): void;
  /**
   * Epoch milliseconds, no longer ago than by either clock. Of times before this process it is not known: then its start.
   *
   * @param jobUids of the Jobs of the present plan
   */
  lastSeen(migration: EdgeMigration, jobUids: readonly string[]): number;
  /** Projects of which pods are remembered. */
  readonly size: number;
}

interface Sighting {
  readonly moment: Moment;
  /** When that was, as it was told last. */
  since: number;
}

/** What both clocks drift apart by; the status would otherwise change with each look. */
const DRIFT_MS = 1_000;
/** Longer than any write is waited for. */
const KEPT_MS = 3_600_000;

export function createFormerWork(clock: Clock): FormerWork {
  const begun = see();
  /** By name of the EdgeMigration, which is the project's in every namespace, and by the Job's uid; the last seen last. */
  const seen = new Map<string, Map<string, Sighting>>();

  function see(): Sighting {
    const moment = momentOf(clock);
    return { moment, since: moment.wall };
  }

  function tell(sighting: Sighting): number {
    const since = clock.now() - leastSince(clock, sighting.moment);
    if (Math.abs(since - sighting.since) > DRIFT_MS) sighting.since = since;
    return sighting.since;
  }

  function forgetOld(): void {
    for (const [name, jobs] of seen) {
      for (const [uid, { moment }] of jobs) {
        if (mostSince(clock, moment) <= KEPT_MS) break;
        jobs.delete(uid);
      }
      if (jobs.size > 0) return;
      seen.delete(name);
    }
  }

  return {
    get size() {
      return seen.size;
    },

    notice(change) {
      if (change.type === 'unreadable') return;
      const pod = change.type === 'deleted' ? change.previous : change.object;
      const before = change.type === 'added' ? undefined : change.previous;
      if (pod === undefined || !mayWrite(pod)) return;
      // One that had ended before has written nothing since.
      if (before?.fact.live === false) return;
      const name = nameOf(pod.migration);
      const jobs = seen.get(name) ?? new Map<string, Sighting>();
      const uid = pod.fact.jobUid ?? '';
      jobs.delete(uid);
      seen.delete(name);
      seen.set(name, jobs.set(uid, see()));
      forgetOld();
    },

    lastSeen({ name }, jobUids) {
      const former = [...(seen.get(name) ?? [])].filter(([uid]) => !jobUids.includes(uid));
      return Math.max(...[begun, ...former.map(([, sighting]) => sighting)].map(tell));
    },
  };
}

const mayWrite = ({ operation }: Owned<PodFact>) => operation === 'copy' || isComparison(operation);

/** Of `<namespace>/<name>`. */
const nameOf = (migration: string) => migration.slice(migration.indexOf('/') + 1);
