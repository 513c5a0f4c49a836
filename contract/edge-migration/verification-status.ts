import { z } from 'zod';
import { boundedText, count, reportName, smallCount, time } from './fields.ts';

/** The mode of a comparison and the reason for it. */
export const comparisonSchema = z.object({
  run: z.int32().min(1),
  trigger: z.enum(['AfterCopy', 'AtDeadline', 'Requested', 'CoverageGap']),
  mode: z.enum(['Report', 'Repair']),
  /** Also which repairs are allowed. */
  authority: z
    .enum(['Core', 'Edge'])
    .describe('The store whose value is correct when both differ: Core until the deadline, Edge after it.'),
  moment: z
    .enum(['AfterCopy', 'AtDeadline'])
    .exactOptional()
    .describe('The authority for operators of earlier releases: AfterCopy if it is Core, AtDeadline if it is Edge.'),
  startTime: time,
});

/** The store whose value is correct when both differ. */
export type Authority = z.infer<typeof comparisonSchema>['authority'];

const MOMENTS = { Core: 'AfterCopy', Edge: 'AtDeadline' } as const satisfies Record<Authority, string>;

/** The authority under both of its names: after a rollback an operator that knows only the former one reads the status. */
export const nameAuthority = (authority: Authority) => ({ authority, moment: MOMENTS[authority] });

/** A status, or a part of one, in which comparisons that an earlier release has stored have the authority's present name. */
export function withAuthorities(status: unknown): unknown {
  if (!isObject(status) || !isObject(status['verification'])) return status;
  const parts = Object.entries(status['verification']).map(([name, part]) => [name, withAuthority(part)]);
  return { ...status, verification: Object.fromEntries(parts) };
}

function withAuthority(comparison: unknown): unknown {
  if (!isObject(comparison) || comparison['authority'] !== undefined) return comparison;
  const authority = (['Core', 'Edge'] as const).find((one) => MOMENTS[one] === comparison['moment']);
  return authority === undefined ? comparison : { ...comparison, authority };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const currentComparisonSchema = comparisonSchema
  .extend({
    attempt: smallCount.optional(),
    retryTime: time.optional(),
    progress: boundedText(128).optional(),
    progressTime: time.optional(),
    /** The requesting token. */
    token: boundedText(64).optional(),
  })
  .describe('The running comparison.');

const findingCountsSchema = z
  .object({
    missing: count,
    extra: count,
    differing: count,
    malformed: count,
    rows: count,
    regions: count.describe('Documents or rows that differ between the compared regions.'),
  })
  .partial()
  .describe('Findings that remain after repair, by kind.');

const lastComparisonSchema = comparisonSchema
  .extend({
    completionTime: time,
    reportName: reportName.describe("ConfigMap, in the operator's namespace, with the whole report."),
    identitiesTotal: count,
    identitiesEqual: count.exactOptional(),
    identitiesDiffering: count.exactOptional(),
    identitiesMissing: count.exactOptional(),
    identitiesSkipped: count.exactOptional(),
    identitiesUnsettled: count.exactOptional(),
    documentsTotal: count,
    documentsMatched: count.exactOptional(),
    documentsExtra: count.exactOptional(),
    documentsEdgeBorn: count.exactOptional(),
    repaired: count.exactOptional(),
    findings: findingCountsSchema.exactOptional(),
    coreChecksum: boundedText(64),
    edgeChecksum: boundedText(64),
  })
  .describe('The last comparison; counts of zero are omitted.');

export const verificationStatusSchema = z
  .object({
    copyTime: time.describe('Completion time of the compared copy.'),
    deadline: time.describe('Replay deadline after which the comparison ran.'),
    token: boundedText(64).describe('The last spec.retry that triggered a comparison.'),
    coveredTime: time.describe('All writes before this time were compared.'),
    current: currentComparisonSchema,
    last: lastComparisonSchema,
  })
  .partial()
  .describe('Comparisons of Core and Edge.');

export type VerificationStatus = z.infer<typeof verificationStatusSchema>;
export type CurrentComparison = z.infer<typeof currentComparisonSchema>;
export type LastComparison = z.infer<typeof lastComparisonSchema>;
