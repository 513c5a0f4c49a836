import type { Core } from '@edge-migration/identity/core/database.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { z } from 'zod';

/**
 * A stretch of the unique index (environment_id, identifier): identifiers after `after` and up to and including
 * `until`, in the database's own collation. Null is the open end, so that identities created later are in a range too.
 */
export const segmentSchema = z.strictObject({
  environmentId: z.int().positive(),
  after: z.string().nullable(),
  until: z.string().nullable(),
});

/** What one pod of the copy works through, in order. The text of one key of the ranges Secret. */
export const rangeSchema = z.strictObject({
  rangeId: z.int().min(0),
  segments: z.array(segmentSchema),
});

export type Segment = z.infer<typeof segmentSchema>;
export type Range = z.infer<typeof rangeSchema>;

/** A range and how many identities it had when it was planned. */
export interface MeasuredRange extends Range {
  identities: number;
}

interface Step extends Segment {
  identities: number;
}

const SMALLEST_STEP = 500;
/** A pod's start costs about as much as copying this many. */
const SMALLEST_RANGE = 5_000;
const LARGEST_RANGE = 50_000;
const MOST_RANGES = 1_000;
/** Ranges per pod: the slowest pod then ends soon after the others. */
const RANGES_PER_POD = 4;

/**
 * Divides a project's identities into ranges and counts them exactly.
 *
 * The index is walked in steps, each a short transaction that reads index entries of that environment alone, so that
 * neither other projects' rows nor a long statement are involved. Steps grow with what has been counted: a million
 * identities take a few hundred.
 *
 * @param parallelism pods that are to work at the same time
 * @throws CoreError as the database's reader does
 */
export async function planRanges(
  core: Core,
  environments: readonly CoreEnvironment[],
  parallelism: number,
  signal: AbortSignal,
): Promise<MeasuredRange[]> {
  const steps: Step[] = [];
  let counted = 0;
  for (const { id } of environments) {
    for await (const step of walkEnvironment(
      core,
      id,
      () => Math.max(SMALLEST_STEP, Math.floor(counted / 100)),
      signal,
    )) {
      counted += step.identities;
      steps.push(step);
    }
  }
  return mergeSteps(steps, chooseRangeSize(counted, parallelism));
}

async function* walkEnvironment(
  core: Core,
  environmentId: number,
  chooseSize: () => number,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  for (let after: string | null = null; ; ) {
    const size = chooseSize();
    const { identities, last } = await measureStep(core, environmentId, after, size, signal);
    const isEnd = identities < size;
    yield { environmentId, after, until: isEnd ? null : last, identities };
    if (isEnd) return;
    after = last;
  }
}

async function measureStep(core: Core, environmentId: number, after: string | null, size: number, signal: AbortSignal) {
  const [step] = await core.read(
    (query) =>
      query<{ identities: number; last: string | null }>(
        `SELECT count(*)::int AS identities, max(identifier) AS last
           FROM (SELECT identifier
                   FROM environments_identity
                  WHERE environment_id = $1 ${after === null ? '' : 'AND identifier > $3'}
                  ORDER BY identifier
                  LIMIT $2) AS step`,
        after === null ? [environmentId, size] : [environmentId, size, after],
      ),
    signal,
  );
  return step ?? { identities: 0, last: null };
}

/** Identities per range: small enough to share the work well, large enough to keep Jobs and their records small. */
export function chooseRangeSize(total: number, parallelism: number): number {
  const shared = Math.ceil(total / (parallelism * RANGES_PER_POD));
  return Math.max(SMALLEST_RANGE, Math.min(shared, LARGEST_RANGE), Math.ceil(total / MOST_RANGES));
}

/** Joins neighbouring steps, and small environments, until a range has its size. */
export function mergeSteps(steps: readonly Step[], size: number): MeasuredRange[] {
  const ranges: MeasuredRange[] = [];
  let current: MeasuredRange | undefined;
  for (const { identities, ...segment } of steps) {
    current ??= { rangeId: ranges.length, segments: [], identities: 0 };
    const last = current.segments.at(-1);
    if (last?.environmentId === segment.environmentId) last.until = segment.until;
    else current.segments.push({ ...segment });
    current.identities += identities;
    if (current.identities >= size) {
      ranges.push(current);
      current = undefined;
    }
  }
  if (current !== undefined) ranges.push(current);
  return ranges;
}
