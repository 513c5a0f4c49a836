import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { isInGap, type MarkedGap, uncovered } from './coverage.ts';
import type { CoreWrite, JournalEntry } from './judge.ts';

/** The results of one case, sent once to gunicorn itself and once through the sidecar. */
export interface Observation {
  readonly direct: Reached;
  readonly through: Reached & { readonly events: readonly WriteEvent[]; readonly gaps: readonly MarkedGap[] };
}

export interface Reached {
  /** Undefined if no answer came. */
  readonly status: number | undefined;
  readonly entries: readonly JournalEntry[];
}

/**
 * - `idle`: Core wrote nothing
 * - `covered`: events lead to everything that Core wrote
 * - `gap`: no event does, and a gap reports that
 * - `wrongWithGap`: events lead to other things, and a gap reports that something is missing
 * - `needlessGap`: a gap, although the answer proves that nothing was written
 * - `silent`: Core wrote something that neither an event nor a gap covers
 * - `different`: the API understood the request differently through the sidecar than directly
 * - `refused`: the sidecar or the API refused through the sidecar what the API accepts directly
 * - `repaired`: gunicorn refused directly what it accepted through the sidecar, which had omitted or rewritten a field
 */
export const VERDICTS = [
  'idle',
  'covered',
  'gap',
  'wrongWithGap',
  'needlessGap',
  'silent',
  'different',
  'refused',
  'repaired',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Judgement {
  readonly verdict: Verdict;
  /** The writes without an event. */
  readonly missing: readonly CoreWrite[];
}

/** @param trusts gunicorn trusts its neighbour about the scheme, so that it may differ through the sidecar */
export function judge({ direct, through }: Observation, trusts = false): Judgement {
  const writes = through.entries.flatMap((entry) => entry.writes);
  const missing = uncovered(writes, through.events);
  const inGaps = missing.every((write) => through.gaps.some((gap) => isInGap(write, gap)));
  return { verdict: verdictOf(), missing };

  function verdictOf(): Verdict {
    if (!inGaps) return 'silent';
    const [asked, reached] = [summary(direct, trusts), summary(through, trusts)];
    if (asked !== reached && reached === '') return 'refused';
    if (asked !== reached) return direct.entries.length === 0 ? 'repaired' : 'different';
    if (writes.length === 0) return isRefusal(through) && through.gaps.length > 0 ? 'needlessGap' : 'idle';
    if (missing.length === 0) return 'covered';
    return through.events.length === 0 ? 'gap' : 'wrongWithGap';
  }
}

/** Not allowed, no such method, no such media type, or redirected to the login of the Django admin. */
function isRefusal({ status, entries }: Reached): boolean {
  if (status === 302) return entries.some(({ route }) => route === 'django.admin');
  return status !== undefined && [401, 403, 405, 415].includes(status);
}

/** The views that were reached, and how, which decides what they do. The sidecar's own look-ups write nothing. */
function summary({ entries }: Reached, trusts: boolean): string {
  return entries
    .filter(({ route }) => route !== null)
    .map(({ status, secure, ...entry }) => JSON.stringify({ ...entry, secure: trusts || secure }))
    .join('\n');
}

/** A verdict that fails a run. */
export function isBad({ verdict }: Judgement): boolean {
  return verdict === 'silent' || verdict === 'different' || verdict === 'needlessGap';
}
