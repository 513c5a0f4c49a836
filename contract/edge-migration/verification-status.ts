import { z } from 'zod';
import { count, reportName, smallCount, text, time } from './fields.ts';

/** What a comparison is asked to do, and by whom. */
export const comparisonSchema = z.object({
  run: z.int32().min(1),
  trigger: z.enum(['AfterCopy', 'AtDeadline', 'Requested', 'CoverageGap']),
  mode: z.enum(['Report', 'Repair']),
  /** What a repair may do, too. */
  moment: z.enum(['AfterCopy', 'AtDeadline']).describe('By which rule it is judged.'),
  startTime: time,
});

const currentComparisonSchema = comparisonSchema
  .extend({
    attempt: smallCount.optional(),
    retryTime: time.optional(),
    progress: text(128).optional(),
    progressTime: time.optional(),
    /** The token that asked for it. */
    token: text(64).optional(),
  })
  .describe('The comparison that is under way.');

const findingCountsSchema = z
  .object({
    missing: count,
    extra: count,
    differing: count,
    malformed: count,
    rows: count,
    regions: count.describe('Documents or rows that are not the same in all regions compared.'),
  })
  .partial()
  .describe('What is left after repair, by kind.');

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
    coreChecksum: text(64),
    edgeChecksum: text(64),
  })
  .describe('The last comparison; counts that are zero are left out.');

export const verificationStatusSchema = z
  .object({
    copyTime: time.describe('Completion of the copy that was compared.'),
    deadline: time.describe('Deadline of replay at which was compared.'),
    token: text(64).describe('The last spec.retry that asked for a comparison and got it.'),
    coveredTime: time.describe('Whatever was written before this was compared.'),
    current: currentComparisonSchema,
    last: lastComparisonSchema,
  })
  .partial()
  .describe('Comparisons of Core and Edge.');

export type VerificationStatus = z.infer<typeof verificationStatusSchema>;
export type CurrentComparison = z.infer<typeof currentComparisonSchema>;
export type LastComparison = z.infer<typeof lastComparisonSchema>;
