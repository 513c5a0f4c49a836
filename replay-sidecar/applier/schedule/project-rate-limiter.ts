import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Keeps single projects within their write units a second (`spec.replay.maxWriteUnitsPerSecond`). */
export interface ProjectRateLimiter {
  /** Notes what was spent. */
  charge(projectId: number, units: number): void;
  /** Whether the project may spend more now. */
  isOpen(projectId: number): boolean;
}

/**
 * What is spent is known only afterwards, so a project spends first and is then closed until time has paid for it. On
 * average that is its limit; at one moment it is at most what the project may have under way.
 *
 * @param limitOf write units a second; undefined: no limit
 */
export function createProjectRateLimiter(
  limitOf: (projectId: number) => number | undefined,
  clock: Clock,
): ProjectRateLimiter {
  /** When (monotonic milliseconds) all that was spent is paid for. */
  const paid = new Map<number, number>();
  return {
    charge(projectId, units) {
      const limit = limitOf(projectId);
      if (limit === undefined) paid.delete(projectId);
      else paid.set(projectId, Math.max(paid.get(projectId) ?? 0, clock.monotonic()) + (1000 * units) / limit);
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
