import { type EdgeMigration, isOperation } from '@edge-migration/contract/edge-migration/api.ts';
import type { ObjectChange } from '@edge-migration/kubernetes/store.ts';
import { type Clock, leastSince, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import type { Owned } from './parse.ts';
import type { PodFact } from './pods.ts';
import { definitionOf } from './work-definition.ts';

/**
 * When pods were last seen that may have written for a project but belong to no Job of its present plan: pods of a
 * recreated EdgeMigration's predecessor, or of a removed plan. Their requests may arrive after they are gone, when the
 * present copy knows nothing of them (docs/design.md, "Convergence", rule 9).
 */
export interface FormerWork {
  notice(change: ObjectChange<Owned<PodFact>>): void;
  /**
   * Epoch milliseconds, the more recent by both clocks. Nothing is known from before this process began: then its
   * start.
   *
   * @param jobUids Jobs of the present plan
   */
  lastSeen(migration: EdgeMigration, jobUids: readonly string[]): number;
  /** Number of projects whose pods are remembered. */
  readonly size: number;
}

interface Sighting {
  readonly moment: Moment;
  /** When that was, as last reported. */
  since: number;
}

/** How far both clocks drift apart; without it the status would change each time. */
const DRIFT_MS = 1_000;
/** Longer than any write may take to arrive. */
const KEPT_MS = 3_600_000;

export function createFormerWork(clock: Clock): FormerWork {
  const begun = see();
  /** By name of the EdgeMigration, which is the project's in every namespace, and by the Job's uid; last seen last. */
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
      // A pod that had already ended has written nothing since.
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

const mayWrite = ({ operation }: Owned<PodFact>) => isOperation(operation) && definitionOf(operation).mayWrite;

/** The name of `<namespace>/<name>`. */
const nameOf = (migration: string) => migration.slice(migration.indexOf('/') + 1);
