import { parsePlace, type UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { covers, type Pending, type Touched, touches } from '@edge-migration/identity/edge/merge.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

type Identity = Omit<UnstorableIdentity, 'cause'>;

/**
 * When events that Edge could not hold are retried: now and then, since the obstacle may go without an event, and at
 * once when their identity was found to be storable.
 *
 * @param interval milliseconds
 */
export function createRetries(intervalMs: number, clock: Pick<Clock, 'monotonic'>) {
  /** When this process first saw or last retried each place. */
  const since = new Map<string, number>();
  let subjects = new Map<string, string[]>();

  const nameOf = (projectId: number, { environmentId, identityId }: Identity) =>
    `${projectId}.${environmentId}.${identityId}`;
  const subjectsOf = (projectId: number, identity: Identity) => subjects.get(nameOf(projectId, identity)) ?? [];

  return {
    /** @param parked all subjects of the parking stream */
    notice(parked: Iterable<string>): void {
      const now = clock.monotonic();
      subjects = new Map();
      for (const subject of parked) {
        const place = parsePlace(subject);
        if (place?.identity === undefined) continue;
        const name = nameOf(place.projectId, place.identity);
        subjects.set(name, [...(subjects.get(name) ?? []), subject]);
        if (!since.has(subject)) since.set(subject, now);
      }
      const present = new Set([...subjects.values()].flat());
      // One that was just released comes back if it still cannot be held.
      for (const [subject, time] of since) if (!present.has(subject) && now - time > intervalMs) since.delete(subject);
    },
    /** Those due for a retry now, the one that has waited longest first; at most `most`. */
    findDue(most: number): string[] {
      const now = clock.monotonic();
      const due = [...subjects.values()].flat().filter((subject) => now - (since.get(subject) ?? now) >= intervalMs);
      const waited = (subject: string) => since.get(subject) ?? now;
      return due.sort((one, other) => (waited(one) < waited(other) ? -1 : 1)).slice(0, most);
    },
    tried: (subject: string) => void since.set(subject, clock.monotonic()),
    wake(projectId: number, identity: Identity): void {
      for (const subject of subjectsOf(projectId, identity)) since.set(subject, Number.NEGATIVE_INFINITY);
    },
    subjectsOf,
  };
}

/**
 * Of events of one identity that Edge cannot hold, those that have to wait: they touched what is pending, and no other
 * waiting event touched as much. One always waits while the identity is not listed: the waiting events are the list.
 */
export function chooseWaiting(events: readonly Touched[], pending: Pending, isListed: boolean): ReadonlySet<number> {
  const kept: { readonly index: number; readonly touched: Touched }[] = [];
  for (const [index, touched] of events.entries()) {
    if (!touches(touched, pending) || kept.some((other) => covers(other.touched, touched))) continue;
    for (const other of kept.filter((one) => covers(touched, one.touched))) kept.splice(kept.indexOf(other), 1);
    kept.push({ index, touched });
  }
  return new Set(kept.length === 0 && !isListed ? [0] : kept.map(({ index }) => index));
}
