import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/**
 * Since when this process has seen something of a migration, such as that no pods work for it, by its own clocks. The
 * Job controller records when a Job ended, but by another machine's clock: an operator whose clock is ahead would call
 * a copy complete while a page may still be written (docs/design.md, "Convergence", rule 4). So would one whose clock
 * is set forward. A new leader counts from the start, which costs seconds.
 */
export interface IdleTimes {
  /** Notes whether it is so. Epoch milliseconds, the more recent by both clocks; undefined when it is not so. */
  notice(migration: EdgeMigration, isSo: boolean): number | undefined;
  /** The EdgeMigration `<namespace>/<name>` is gone. */
  forget(key: string): void;
  readonly size: number;
}

/** How far both clocks drift apart; without it the status would change each time. */
const DRIFT_MS = 1_000;

/** Remembers one time for each EdgeMigration. */
export function createIdleTimes(clock: Clock): IdleTimes {
  const times = new Map<string, { uid: string; moment: Moment; since: number }>();

  function begin(key: string, uid: string): number {
    const moment = momentOf(clock);
    times.set(key, { uid, moment, since: moment.wall });
    return moment.wall;
  }

  return {
    notice({ namespace, name, uid }, isSo) {
      const key = `${namespace}/${name}`;
      const known = times.get(key);
      if (!isSo) {
        times.delete(key);
        return undefined;
      }
      if (known?.uid !== uid) return begin(key, uid);
      const since = clock.now() - leastSince(clock, known.moment);
      if (Math.abs(since - known.since) > DRIFT_MS) known.since = since;
      return known.since;
    },
    forget: (key) => void times.delete(key),
    get size() {
      return times.size;
    },
  };
}
