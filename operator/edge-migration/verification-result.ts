import type { CurrentComparison, LastComparison } from '@edge-migration/contract/edge-migration/api.ts';
import { nameAuthority } from '@edge-migration/contract/edge-migration/verification-status.ts';
import type { VerifyCheckpoint } from '../verify/checkpoint.ts';
import { addTotals, countComparedIdentities, countDocuments, countLeft } from '../verify/totals.ts';
import { conditionFalse, conditionTrue, type FindingOf, formatTime } from './conditions.ts';
import type { VerificationFacts } from './facts.ts';
import { countPlanned } from './progress.ts';

/** What a comparison may find. */
export const CONFIRMED_KINDS = ['missing', 'extra', 'differing', 'malformed', 'rows', 'regions'] as const;

/** The findings in words for people. */
const WORDS: Record<(typeof CONFIRMED_KINDS)[number], string> = {
  missing: 'missing in Edge',
  extra: 'extra in Edge',
  differing: 'differing',
  malformed: 'malformed',
  rows: 'with override rows out of step',
  regions: 'not the same in all regions',
};

/** The combined findings of all ranges. */
export function summariseComparison(
  { run, trigger, mode, authority, startTime }: CurrentComparison,
  checkpoints: readonly VerifyCheckpoint[],
  { reportName, now }: { reportName: string; now: number },
): LastComparison {
  const totals = addTotals(checkpoints.map((checkpoint) => checkpoint.totals));
  const left = CONFIRMED_KINDS.map((kind) => [kind, countLeft(totals, kind)] as const).filter(([, count]) => count > 0);
  return {
    run,
    trigger,
    mode,
    ...nameAuthority(authority),
    startTime,
    completionTime: formatTime(now),
    reportName,
    identitiesTotal: countComparedIdentities(totals),
    documentsTotal: countDocuments(totals),
    ...withoutZeros({
      identitiesEqual: totals.equal,
      identitiesDiffering: totals.differing,
      identitiesMissing: totals.missing,
      identitiesSkipped: totals.skipped,
      identitiesUnsettled: totals.unsettled,
      documentsMatched: totals.matched,
      documentsExtra: totals.extra,
      documentsEdgeBorn: totals.edgeBorn,
      repaired: totals.repairs,
    }),
    ...(left.length === 0 ? {} : { findings: Object.fromEntries(left) }),
    coreChecksum: totals.coreChecksum,
    edgeChecksum: totals.edgeChecksum,
  };
}

/** The status has to stay small. */
function withoutZeros<T extends Record<string, number>>(counts: T): Partial<T> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)) as Partial<T>;
}

/**
 * The finding for condition `Verified`: after the copy every difference counts; once the window has closed Edge is the
 * authority, and only missing or extra identities do.
 */
export function describeVerdict(last: LastComparison): FindingOf<'Verified'> {
  const { findings = {}, authority, reportName, identitiesEqual = 0, identitiesTotal, repaired = 0 } = last;
  const { identitiesSkipped = 0 } = last;
  const parts = CONFIRMED_KINDS.flatMap((kind) => (findings[kind] ? [`${findings[kind]} ${WORDS[kind]}`] : []));
  const counts = `${identitiesEqual} of ${identitiesTotal} identities equal`;
  const done = repaired > 0 ? `, ${repaired} repaired` : '';
  const listed = identitiesSkipped > 0 ? [...parts, `${identitiesSkipped} that Edge cannot hold`] : parts;
  const found = listed.length === 0 ? '' : `; ${listed.join(', ')}`;
  const text = `${counts}${done}${found}; see ConfigMap ${reportName}`;
  if (authority === 'Edge') {
    const isComplete = !findings.missing && !findings.extra;
    return isComplete ? conditionTrue('NothingMissing', text) : conditionFalse('DifferencesFound', text);
  }
  return parts.length === 0 ? conditionTrue('NothingDiffers', text) : conditionFalse('DifferencesFound', text);
}

/** `12000/100000 identities compared`. */
export function describeComparisonProgress({ ranges, checkpoints }: VerificationFacts): string {
  if (ranges === undefined) return 'the comparison is planned';
  const totals = addTotals(checkpoints.map((checkpoint) => checkpoint.totals));
  const candidates = checkpoints.reduce((sum, each) => sum + each.candidates, 0);
  const doubtful = candidates === 0 ? '' : `, ${candidates} to be compared again`;
  return `${countComparedIdentities(totals)}/${countPlanned(ranges)} identities compared${doubtful}`;
}
