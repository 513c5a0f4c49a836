import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Keeps single projects within their write units a second (`spec.replay.maxWriteUnitsPerSecond`). */
export interface ProjectRateLimiter {
  /** Notes units that were spent. */
  charge(projectId: number, units: number): void;
  /** Whether the project may spend more now. */
  isOpen(projectId: number): boolean;
  /** Number of projects remembered. */
  readonly size: number;
}

/**
 * The cost is known only afterwards, so a project spends first and is then closed until time has paid for it. Its
 * average is the limit; at any moment it spends at most what it may have under way.
 *
 * @param limitOf write units a second; undefined: no limit
 */
export function createProjectRateLimiter(
  limitOf: (projectId: number) => number | undefined,
  clock: Clock,
): ProjectRateLimiter {
  /** When (monotonic milliseconds) everything spent is paid for. */
  const paid = new Map<number, number>();
  /** The last ones charged come last, and most of them are paid for in that order. */
  function forgetPaid(): void {
    for (const [projectId, time] of paid) {
      if (limitOf(projectId) !== undefined && time > clock.monotonic()) return;
      paid.delete(projectId);
    }
  }

  return {
    charge(projectId, units) {
      const limit = limitOf(projectId);
      const until = Math.max(paid.get(projectId) ?? 0, clock.monotonic());
      paid.delete(projectId);
      if (limit !== undefined) paid.set(projectId, until + (1000 * units) / limit);
      forgetPaid();
    },
    get size() {
      return paid.size;
    },
    isOpen(projectId) {
      const time = paid.get(projectId);
      if (time === undefined) return true;
      if (limitOf(projectId) !== undefined && time > clock.monotonic()) return false;
      paid.delete(projectId);
      return true;
    },
  };
}
