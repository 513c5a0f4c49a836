import { addChecksums, NO_DOCUMENTS } from '@edge-migration/identity/edge/canonical.ts';
import { z } from 'zod';

const count = z.number().min(0).default(0);

const findingCounts = z
  .object({
    missing: count,
    extra: count,
    differing: count,
    malformed: count,
    rows: count,
    regions: count,
    uuid: count,
  })
  .prefault({});

/**
 * The counts of a comparison. Core's identities are the sum of `equal`, `differing`, `missing`, `skipped` and
 * `unsettled`; Edge's documents that of `matched`, `extra` and `edgeBorn`, all as they were found.
 */
export const verifyTotalsSchema = z.object({
  equal: count,
  differing: count,
  missing: count,
  /** Edge cannot hold them, or another identity's document has their key. */
  skipped: count,
  skippedByReason: z.record(z.string(), z.number()).default({}),
  /** They were written during each of their comparisons. */
  unsettled: count,
  matched: count,
  extra: count,
  edgeBorn: count,
  /** Rows of `environments_v2` that were compared with their documents. */
  rows: count,
  /** Findings by kind; one identity may have several. */
  found: findingCounts,
  /** Of these, the ones that were repaired and then found to be correct. */
  repaired: findingCounts,
  /** Identities or rows that were repaired. */
  repairs: count,
  coreChecksum: z.string().default(NO_DOCUMENTS),
  edgeChecksum: z.string().default(NO_DOCUMENTS),
  readUnits: count,
  writeUnits: count,
});

export type VerifyTotals = z.infer<typeof verifyTotalsSchema>;
export type FindingCounts = VerifyTotals['found'];

export const NOTHING_VERIFIED: VerifyTotals = verifyTotalsSchema.parse({});

/** Of several ranges together. */
export function addTotals(all: readonly VerifyTotals[]): VerifyTotals {
  const sum = structuredClone(NOTHING_VERIFIED);
  for (const totals of all) {
    for (const name of NUMBERS) sum[name] += totals[name];
    for (const [reason, number] of Object.entries(totals.skippedByReason)) {
      sum.skippedByReason[reason] = (sum.skippedByReason[reason] ?? 0) + number;
    }
    for (const kind of ALL_FINDING_KINDS) {
      sum.found[kind] += totals.found[kind];
      sum.repaired[kind] += totals.repaired[kind];
    }
  }
  sum.coreChecksum = addChecksums(all.map(({ coreChecksum }) => coreChecksum));
  sum.edgeChecksum = addChecksums(all.map(({ edgeChecksum }) => edgeChecksum));
  return sum;
}

const NUMBERS = [
  ...(['equal', 'differing', 'missing', 'skipped', 'unsettled', 'matched', 'extra', 'edgeBorn'] as const),
  ...(['rows', 'repairs', 'readUnits', 'writeUnits'] as const),
];

export const ALL_FINDING_KINDS = ['missing', 'extra', 'differing', 'malformed', 'rows', 'regions', 'uuid'] as const;

/** Compared identities of Core. */
export function countComparedIdentities({ equal, differing, missing, skipped, unsettled }: VerifyTotals): number {
  return equal + differing + missing + skipped + unsettled;
}

/** Documents found in Edge. */
export const countDocuments = ({ matched, extra, edgeBorn }: VerifyTotals) => matched + extra + edgeBorn;

/** Findings of a kind that remain after repair. */
export const countLeft = ({ found, repaired }: VerifyTotals, kind: keyof FindingCounts) => found[kind] - repaired[kind];
