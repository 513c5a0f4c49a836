import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Which identities of a project Edge cannot hold, by all readings of the last seconds. */
export interface Sightings {
  /**
   * @param seen identities that the parking stream now lists
   * @returns these and those listed a moment ago, ascending by Core's id
   */
  join(projectId: number, seen: readonly UnstorableIdentity[]): readonly UnstorableIdentity[];
}

/** Longer than the time between two readings for a project, and than a try takes. */
const HOLD_MS = 20_000;

interface Sighting {
  readonly identity: UnstorableIdentity;
  readonly time: number;
}

/**
 * The event that lists an identity leaves the parking stream for each try, every minute. Without a memory, a status
 * computed at that moment would be different, or say that nothing is wrong.
 */
export function createSightings(clock: Pick<Clock, 'monotonic'>): Sightings {
  const projects = new Map<number, Map<number, Sighting>>();
  return {
    join(projectId, seen) {
      const time = clock.monotonic();
      const known = projects.get(projectId) ?? new Map<number, Sighting>();
      for (const identity of seen) known.set(identity.identityId, { identity, time });
      for (const [id, sighting] of known) if (time - sighting.time > HOLD_MS) known.delete(id);
      if (known.size === 0) projects.delete(projectId);
      else projects.set(projectId, known);
      const all = [...known.values()].map(({ identity }) => identity);
      return all.sort((one, other) => one.identityId - other.identityId);
    },
  };
}
