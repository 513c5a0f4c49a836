import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Which identities of a project Edge cannot hold, by all looks of the last seconds. */
export interface Sightings {
  /**
   * @param seen those that the parking stream lists now
   * @returns these and the ones that it listed a moment ago, ascending by Core's id
   */
  join(projectId: number, seen: readonly UnstorableIdentity[]): readonly UnstorableIdentity[];
}

/** Longer than from one look of a project to the next, and than a try takes. */
const HOLD_MS = 20_000;

interface Sighting {
  readonly identity: UnstorableIdentity;
  readonly time: number;
}

/**
 * The event that lists an identity leaves the parking stream for each try, every minute. Without a memory the status
 * would be another one, or say that nothing is wrong, whenever somebody looks at that moment.
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
