import type { Core } from '@edge-migration/identity/core/core.ts';
import type { Range, Segment } from '../ranges.ts';
import { addIds, areSame, createReadIds, type IdSums, NO_IDS, type ReadIds } from './read-ids.ts';

/** The identities that existed when a range was planned and that its copy has read. */
interface WasRead {
  /** By environment, if one process has read the whole range. */
  readonly ids: ReadonlyMap<number, ReadIds> | undefined;
  /** Of all of them, across all processes; a repeated page counts once. */
  readonly sums: IdSums;
  /** The number of them in one environment. */
  countOf(environmentId: number): number;
}

/** The numbers of existing identities that were read and that were missed. */
export interface Found {
  readonly read: number;
  readonly missed: number;
}

export interface MissedQuery {
  readonly core: Core;
  readonly range: Range;
  /** Whether an environment exists, and did when the worker began. */
  readonly isPresent: (environmentId: number) => boolean;
  readonly wasRead: WasRead;
  readonly signal: AbortSignal;
}

/**
 * Finds identities that have existed since the range was planned and were not read. It compares ids, since by counts
 * alone an identity deleted since then could hide a missed one.
 *
 * A damaged index would miss the same identities here. So an environment in which fewer were read than planned is read
 * without its index.
 *
 * @returns `unsure` if several processes together have read other identities than Core has: which ones is unknown
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

/** A surplus in one environment (renamed into the range, or committed late) does not make up for another's deficit. */
function isShort({ range: { planned, segments }, wasRead }: MissedQuery, environmentId: number): boolean {
  if (planned?.bySegment === undefined) return true;
  const own = planned.bySegment.filter((_, index) => segments[index]?.environmentId === environmentId);
  return wasRead.countOf(environmentId) < own.reduce((sum, count) => sum + count, 0);
}
