import type { Clock } from '@edge-migration/identity/clock.ts';
import type { EdgeMigration } from './api.ts';

/**
 * Since when this process has seen that no pods work for a migration, by its own clock.
 *
 * The Job controller notes when a Job ended, but by another machine's clock: an operator whose clock is ahead would call
 * a copy complete while a page may still be written (docs/design.md, "Convergence", rule 4). Whoever becomes the leader
 * begins to count anew, which costs seconds.
 */
export interface IdleTimes {
  /** Notes what was seen. Epoch milliseconds; undefined while pods work. */
  notice(migration: EdgeMigration, isIdle: boolean): number | undefined;
}

/** Remembers one time for each name that an EdgeMigration ever had. */
export function createIdleTimes(clock: Clock): IdleTimes {
  const times = new Map<string, { uid: string; since: number }>();
  return {
    notice({ namespace, name, uid }, isIdle) {
      const key = `${namespace}/${name}`;
      if (!isIdle) times.delete(key);
      else if (times.get(key)?.uid !== uid) times.set(key, { uid, since: clock.now() });
      return times.get(key)?.since;
    },
  };
}
