import type { Core } from '@edge-migration/identity/core/core.ts';
import type { Range, Segment } from '../ranges.ts';
import { addIds, areSame, createReadIds, type IdSums, NO_IDS, type ReadIds } from './read-ids.ts';

/** What the copy of a range has read of the identities that were there when it was planned. */
interface WasRead {
  /** By environment, where one process has read all of it. */
  readonly ids: ReadonlyMap<number, ReadIds> | undefined;
  /** Of all together, by whatever process; a page that was repeated counts once. */
  readonly sums: IdSums;
  /** How many, of one environment. */
  countOf(environmentId: number): number;
}

/** Identities that are there and were read, and those that were not. */
export interface Found {
  readonly read: number;
  readonly missed: number;
}

export interface MissedQuery {
  readonly core: Core;
  readonly range: Range;
  /** Environments that are there, and were there when the worker began. */
  readonly isPresent: (environmentId: number) => boolean;
  readonly wasRead: WasRead;
  readonly signal: AbortSignal;
}

/**
 * Identities that were there when the range was planned, still are, and were not read, found by their ids: counts would let
 * one that was deleted since stand for one that was missed.
 *
 * What a damaged index misses it would miss here, too. So an environment of which fewer were read than were planned is read
 * without its index.
 *
 * @returns `unsure`: several processes have read what is not the same as what Core has; nobody can tell which is otherwise
 */
export async function findMissed(query: MissedQuery): Promise<Found | 'unsure'> {
  const { core, range, isPresent, wasRead, signal } = query;
  const { planned, segments } = range;
  if (planned === undefined) return { read: 0, missed: 0 };
  const { newestId } = planned;
  const nothing = createReadIds();
  let now = NO_IDS;
  let read = 0;
  let missed = 0;
  for (const [id, own] of Map.groupBy(segments.filter(isLive), ({ environmentId }) => environmentId)) {
    const ids = wasRead.ids?.get(id) ?? nothing;
    const list = isShort(query, id) ? core.stretches.scanIds : core.stretches.listIds;
    for (const segment of own) {
      for await (const some of list(segment, newestId, signal)) {
        if (wasRead.ids === undefined) now = addIds(now, some);
        const found = some.filter((one) => ids.has(one)).length;
        read += found;
        missed += some.length - found;
      }
    }
  }
  if (wasRead.ids !== undefined) return { read, missed };
  return areSame(now, wasRead.sums) ? { read: now.count, missed: 0 } : 'unsure';

  function isLive({ environmentId }: Segment): boolean {
    return isPresent(environmentId);
  }
}

/** One environment's surplus (what was renamed into the range, or committed late) does not stand for another one. */
function isShort({ range: { planned, segments }, wasRead }: MissedQuery, environmentId: number): boolean {
  if (planned?.bySegment === undefined) return true;
  const own = planned.bySegment.filter((_, index) => segments[index]?.environmentId === environmentId);
  return wasRead.countOf(environmentId) < own.reduce((sum, count) => sum + count, 0);
}
