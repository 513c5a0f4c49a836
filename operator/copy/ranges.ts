import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { IdentityOrder } from '@edge-migration/identity/core/order.ts';
import type { StepRequest } from '@edge-migration/identity/core/stretches.ts';
import { z } from 'zod';

/** By identifier, along the unique index and in the database's own collation, unless specified otherwise. */
export const orderSchema = z.enum(['identifier', 'id']).optional();

/**
 * A part of an environment's identities in one order: those after `after` up to and including `until`. Null is the open
 * end, so that identities created later are also in a range.
 */
const segmentSchema = z.strictObject({
  environmentId: z.int().positive(),
  order: orderSchema,
  after: z.string().nullable(),
  until: z.string().nullable(),
});

/** The work of one pod of the copy, in order. The text of one key of the ranges Secret. */
export const rangeSchema = z.strictObject({
  rangeId: z.int().min(0),
  segments: z.array(segmentSchema),
  /** The state at the time of planning; without it nothing is checked at the end. */
  planned: z
    .strictObject({
      identities: z.int().min(0),
      /** The newest identity of Core at that time, of any project. */
      newestId: z.int().min(0),
      /** Per segment; absent in plans of earlier releases. */
      bySegment: z.array(z.int().min(0)).optional(),
    })
    .optional(),
});

export type Segment = z.infer<typeof segmentSchema>;
export type Range = z.infer<typeof rangeSchema>;

/** A range and the number of its identities when it was planned. */
export interface MeasuredRange extends Pick<Range, 'rangeId' | 'segments'> {
  identities: number;
  /** Per segment. */
  bySegment: number[];
}

/** The planned state for a range's worker, by the number of identities in each segment. */
export function describePlanned(bySegment: readonly number[], newestId: number): NonNullable<Range['planned']> {
  return { identities: bySegment.reduce((sum, count) => sum + count, 0), newestId, bySegment: [...bySegment] };
}

interface Step extends Segment {
  identities: number;
}

const SMALLEST_STEP = 500;
/** The start of a pod costs about as much as copying this many. */
const SMALLEST_RANGE = 5_000;
const LARGEST_RANGE = 50_000;
const MOST_RANGES = 1_000;
/** Ranges per pod: the slowest pod then finishes soon after the others. */
const RANGES_PER_POD = 4;

/**
 * Divides a project's identities into ranges and counts them exactly.
 *
 * The index is walked in steps, each a short transaction that reads index entries of that environment only, so that
 * neither other projects' rows nor a long statement are involved. Steps grow with the count: a million identities take
 * a few hundred.
 *
 * @param parallelism number of pods that will work at the same time
 * @throws CoreError like the database's reader
 */
export async function planRanges(
  core: Core,
  environments: readonly CoreEnvironment[],
  parallelism: number,
  signal: AbortSignal,
): Promise<MeasuredRange[]> {
  const steps: Step[] = [];
  let counted = 0;
  const isDrifted = await core.server.hasCollationDrift(signal);
  for (const { id } of environments) {
    const found = await measureEnvironment(core, id, isDrifted, counted, signal);
    counted += found.reduce((sum, { identities }) => sum + identities, 0);
    steps.push(...found);
  }
  return mergeSteps(steps, chooseRangeSize(counted, parallelism));
}

/**
 * By identifier, unless the index for this order is unreliable: after an upgrade of the collation library, it may be in
 * the order of the former version, while comparisons use the order of the present one. Then a walk along it skips
 * identities, or returns them out of order.
 *
 * Counts show that only while nothing is written: an identity that is deleted before the walk reaches it, and one that
 * is created behind it, look like skipped ones. If they do not match, a second walk compares ids.
 */
async function measureEnvironment(
  core: Core,
  environmentId: number,
  isDrifted: boolean,
  counted: number,
  signal: AbortSignal,
): Promise<Step[]> {
  const walk = (order: IdentityOrder, newestId?: number) =>
    walkEnvironment(core, { environmentId, order, newestId }, counted, signal);
  if (!isDrifted) {
    const before = await core.identities.count(environmentId, signal);
    const first = await walk('identifier');
    const after = await core.identities.count(environmentId, signal);
    if (first.isOrdered && first.identities >= Math.min(before, after)) return first.steps;
    if (first.isOrdered) {
      const newestId = await core.identities.newestId(signal);
      const second = await walk('identifier', newestId);
      const stayed = await core.stretches.count({ environmentId, after: null, until: null }, newestId, signal);
      if (second.isOrdered && second.known >= stayed) return second.steps;
    }
  }
  return (await walk('id')).steps;
}

interface Walk {
  readonly steps: Step[];
  readonly identities: number;
  /** Those up to `newestId`. */
  readonly known: number;
  /** Every identity was greater than the previous one. */
  readonly isOrdered: boolean;
}

type WalkRequest = Pick<StepRequest, 'environmentId' | 'order' | 'newestId'>;

/** @param counted identities of the previous environments: the more there are, the larger the steps */
async function walkEnvironment(core: Core, request: WalkRequest, counted: number, signal: AbortSignal): Promise<Walk> {
  const { environmentId, order } = request;
  const steps: Step[] = [];
  let isOrdered = true;
  let identities = 0;
  let known = 0;
  for (let after: string | null = null; ; ) {
    const size = Math.max(SMALLEST_STEP, Math.floor((counted + identities) / 100));
    const step = await core.stretches.measure({ ...request, after, size }, signal);
    const isEnd = step.identities < size;
    isOrdered &&= step.isOrdered;
    identities += step.identities;
    known += step.known;
    const segment = { environmentId, ...(order === 'id' && { order }), after, until: isEnd ? null : step.last };
    steps.push({ ...segment, identities: step.identities });
    if (isEnd) return { steps, identities, known, isOrdered };
    after = step.last;
  }
}

/** Identities per range: small enough to share the work well, large enough to keep Jobs and their records small. */
export function chooseRangeSize(total: number, parallelism: number): number {
  const shared = Math.ceil(total / (parallelism * RANGES_PER_POD));
  return Math.max(SMALLEST_RANGE, Math.min(shared, LARGEST_RANGE), Math.ceil(total / MOST_RANGES));
}

/** Merges neighbouring steps, and small environments, until a range has its size. */
export function mergeSteps(steps: readonly Step[], size: number): MeasuredRange[] {
  const ranges: MeasuredRange[] = [];
  let current: MeasuredRange | undefined;
  for (const { identities, ...segment } of steps) {
    current ??= { rangeId: ranges.length, segments: [], identities: 0, bySegment: [] };
    const { segments, bySegment } = current;
    const last = segments.at(-1);
    if (last?.environmentId === segment.environmentId && last.order === segment.order) {
      last.until = segment.until;
      bySegment.push((bySegment.pop() ?? 0) + identities);
    } else {
      segments.push({ ...segment });
      bySegment.push(identities);
    }
    current.identities += identities;
    if (current.identities >= size) {
      ranges.push(current);
      current = undefined;
    }
  }
  if (current !== undefined) ranges.push(current);
  return ranges;
}
