import type { SkippedIdentity } from '@edge-migration/identity/edge/document/document.ts';
import type { Difference } from '@edge-migration/identity/edge/merge.ts';
import type { Totals } from '../checkpoint.ts';
import { addWriteUnits, type WriteUnits } from '../write-units.ts';
import { addIds, type IdSums } from './read-ids.ts';

/** The result for one identity of a page. */
export interface Result {
  readonly outcome: 'inserted' | 'unchanged' | 'kept' | 'merged' | 'replaced' | 'skipped' | 'gone';
  /** How the existing document differed from Core. */
  readonly differing?: DifferingLine | undefined;
  /** The existing document had been created on Edge. */
  readonly edgeBorn?: boolean;
  /** The reason for skipping it. */
  readonly skipped?: SkippedLine;
}

/** One line of the report of skipped identities: ids and rules only, never values or identifiers. */
export interface SkippedLine {
  readonly environmentId: number;
  readonly identityId: number;
  readonly reason: SkippedIdentity['reason'] | 'RejectedByDynamodb';
  readonly detail: string;
}

/** One line of the report of documents that differed; only numbers of traits and overrides. */
interface DifferingLine extends Difference {
  readonly environmentId: number;
  readonly identityId: number;
}

/** What a page adds to the totals, besides its results. */
export interface PageCosts {
  /** Ids of the identities of the page that existed when the range was planned. */
  readonly known: readonly number[];
  readonly documentBytes: number;
  /** In the home region. */
  readonly writeUnits: number;
  /** Of a plan, in all regions. */
  readonly plannedUnits: WriteUnits;
  readonly throttled: number;
}

/** The totals after a page; the caller handles the lines of reports. */
export function addPage(totals: Totals, results: readonly Result[], costs: PageCosts): Totals {
  const counts = { ...totals.counts };
  const skippedByReason = { ...totals.skippedByReason };
  counts.pages += 1;
  counts.read += results.length;
  counts.known += costs.known.length;
  counts.documentBytes += costs.documentBytes;
  counts.writeUnits += costs.writeUnits;
  counts.throttled += costs.throttled;
  for (const { outcome, differing, edgeBorn, skipped } of results) {
    if (outcome !== 'gone') counts[outcome] += 1;
    if (differing !== undefined) counts.differing += 1;
    if (edgeBorn) counts.edgeBorn += 1;
    if (skipped !== undefined) skippedByReason[skipped.reason] = (skippedByReason[skipped.reason] ?? 0) + 1;
  }
  const plannedUnits = addWriteUnits([totals.plannedUnits, costs.plannedUnits]);
  const { sum, squares } = addIds(sumsOf(totals), costs.known);
  const knownIds = { sum: String(sum), squares: String(squares) };
  return { ...totals, counts, skippedByReason, plannedUnits, knownIds };
}

/** The sums of the identities that existed when the range was planned. */
export function sumsOf({ counts, knownIds }: Totals): IdSums {
  return { count: counts.known, sum: BigInt(knownIds.sum), squares: BigInt(knownIds.squares) };
}
