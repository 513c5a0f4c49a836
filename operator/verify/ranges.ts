import { regionName } from '@edge-migration/contract/region-name.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { z } from 'zod';
import { type MeasuredRange, orderSchema, planRanges } from '../copy/ranges.ts';

/**
 * The parts of a comparison, in order:
 * - `core`: Core's identities of an environment and their documents; bounds in the database's own collation.
 * - `documents`: Edge's documents of an environment, to find those that Core does not have; bounds by bytes in UTF-8.
 * - `rows`: an environment's rows of `environments_v2`, to find those whose document has no such override; no bounds.
 *
 * A segment begins behind `after` and ends with `until`; null is the open end.
 */
const segmentSchema = z.strictObject({
  kind: z.enum(['core', 'documents', 'rows']),
  environmentId: z.int().positive(),
  /** Of `core`. */
  order: orderSchema,
  after: z.string().nullable(),
  until: z.string().nullable(),
});

/** The work of one pod, in order. The text of one key of the ranges Secret. */
export const verifyRangeSchema = z.strictObject({
  rangeId: z.int().min(0),
  segments: z.array(segmentSchema),
  /** Regions whose copies are compared with the home region. */
  regions: z.array(regionName).default([]),
});

/** A segment as it is processed; with a region it covers what that region has and the home region lacks. */
export type VerifySegment = z.infer<typeof segmentSchema> & { readonly region?: string };
export type VerifyRange = z.infer<typeof verifyRangeSchema>;

/** The whole work of a pod: the range's segments, and then Edge's direction in each other region. */
export function listVerifySegments(
  { segments }: Pick<VerifyRange, 'segments'>,
  regions: readonly string[],
): VerifySegment[] {
  const ofEdge = segments.filter(({ kind }) => kind !== 'core');
  return [...segments, ...regions.flatMap((region) => ofEdge.map((segment) => ({ ...segment, region })))];
}

/** A range and the number of Core's identities in it when it was planned. */
export interface MeasuredVerifyRange extends Omit<VerifyRange, 'regions'> {
  identities: number;
}

/** A verify pod processes several times as many as a copy pod. */
const COPY_RANGES_PER_RANGE = 4;

/**
 * Divides both directions of a comparison into ranges: Core's identities as in the copy, Edge's documents at the same
 * identifiers, so that the parts have similar sizes.
 *
 * @param fit merges ranges whose boundaries take too much room
 * @throws CoreError like the database's reader
 */
export async function planVerification(
  core: Core,
  environments: readonly CoreEnvironment[],
  parallelism: number,
  fit: (ranges: MeasuredRange[]) => MeasuredRange[],
  signal: AbortSignal,
): Promise<MeasuredVerifyRange[]> {
  const pods = Math.ceil(parallelism / COPY_RANGES_PER_RANGE);
  return addEdge(fit(await planRanges(core, environments, pods, signal)));
}

/** Adds Edge's direction to ranges of Core's. */
export function addEdge(ranges: readonly Omit<MeasuredRange, 'bySegment'>[]): MeasuredVerifyRange[] {
  const stretches = new Map<number, VerifySegment[]>();
  for (const { environmentId, order, until: bound } of ranges.flatMap(({ segments }) => segments)) {
    const known = stretches.get(environmentId);
    // Ids do not divide documents.
    const until = order === 'id' ? null : bound;
    if (known === undefined) stretches.set(environmentId, [{ kind: 'documents', environmentId, after: null, until }]);
    else known.push({ kind: 'documents', environmentId, after: null, until });
  }
  for (const [environmentId, parts] of stretches) stretches.set(environmentId, divide(environmentId, parts));
  const begun = new Set<number>();
  return ranges.map(({ rangeId, identities, segments }) => ({
    rangeId,
    identities,
    segments: [
      ...segments.map((segment) => ({ kind: 'core' as const, ...segment })),
      ...segments.flatMap(({ environmentId }) => stretches.get(environmentId)?.shift() ?? []),
      ...segments.flatMap(({ environmentId }) => {
        if (begun.has(environmentId)) return [];
        begun.add(environmentId);
        return { kind: 'rows' as const, environmentId, after: null, until: null };
      }),
    ],
  }));
}

/** DynamoDB's maximum length of a sort key, in bytes. */
const MAX_KEY_BYTES = 1024;

/** An environment's documents by bytes, with at most as many parts as Core's identities have. */
function divide(environmentId: number, parts: readonly VerifySegment[]): VerifySegment[] {
  const bounds = parts
    .flatMap(({ until }) => (until === null || until === '' || Buffer.byteLength(until) > MAX_KEY_BYTES ? [] : until))
    .sort(compareBytes);
  const ends = [...new Set(bounds), null];
  return ends.map((until, index) => ({ kind: 'documents', environmentId, after: ends[index - 1] ?? null, until }));
}

function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
