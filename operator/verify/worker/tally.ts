import { hash } from 'node:crypto';
import { createChecksum, documentDigest } from '@edge-migration/identity/edge/canonical.ts';
import type { SkippedIdentity } from '@edge-migration/identity/edge/document/document.ts';
import type { Finding, Verdict } from '@edge-migration/identity/edge/verdict.ts';
import { createReport } from '../../job/report.ts';
import type { VerifyTotals } from '../totals.ts';
import type { RepairedCandidate } from './candidate.ts';
import { type Comparison, identityIdOf, isOnly } from './comparison.ts';

/** One line of the samples: the identity or row and its finding, without values. */
export interface SampleLine extends Finding {
  readonly environmentId: number;
  /** Core's id; the document's `django_id` if Core has none. */
  readonly identityId: number | undefined;
  /** The first 16 hexadecimal digits of the identifier's SHA-256, or the identifier itself if requested. */
  readonly identifier: string;
  readonly repaired?: boolean;
}

/** A ConfigMap holds a mebibyte, and the candidates need most of it. */
const SAMPLES_BYTES = 60_000;
const SKIPPED_BYTES = 40_000;
/** A table that was filled by another tool is full of that tool's uuids. */
const UUID_SAMPLES = 10;

export interface TallyOptions {
  readonly totals: VerifyTotals;
  readonly samples: string;
  readonly sampleLines: number;
  readonly skipped: string;
  readonly skippedLines: number;
  readonly clearIdentifiers: boolean;
}

/** Counts and sums up the results, and keeps samples of findings. */
export function createTally(options: TallyOptions) {
  const { totals: initial, samples: text, sampleLines, clearIdentifiers } = options;
  const totals = structuredClone(initial);
  const core = createChecksum(initial.coreChecksum);
  const edge = createChecksum(initial.edgeChecksum);
  const samples = createReport(SAMPLES_BYTES, text, sampleLines);
  const skippedLines = createReport(SKIPPED_BYTES, options.skipped, options.skippedLines);

  /** The same line as in the copy's report of skipped identities. */
  function addSkipped({ environmentId, identityId, reason, detail }: SkippedIdentity): void {
    const line = { environmentId, identityId, reason, detail };
    totals.skippedByReason[line.reason] = (totals.skippedByReason[line.reason] ?? 0) + 1;
    skippedLines.add(line);
  }

  /** Data in both stores goes into both sums; data created on Edge, or that cannot be stored there, into none. */
  function addChecksums({ verdict, pair }: Comparison, repaired: boolean): void {
    if (verdict.document === 'edgeBorn' || verdict.identity === 'skipped') return;
    // The document of a row: it is summed up when it is compared itself.
    if (verdict.document === undefined && verdict.identity === undefined) return;
    const coreDigest = pair.core?.kind === 'document' ? documentDigest(pair.core.item) : undefined;
    if (coreDigest !== undefined) core.add(coreDigest);
    if (repaired || (verdict.identity === 'equal' && coreDigest !== undefined)) {
      if (coreDigest !== undefined) edge.add(coreDigest);
    } else if (pair.edge !== undefined) edge.add(documentDigest(pair.edge));
  }

  function addFinding(
    { identifier, ...place }: Pick<SampleLine, 'environmentId' | 'identityId' | 'identifier'>,
    finding: Finding,
    repaired: boolean | undefined,
  ): void {
    for (const kind of finding.kinds) {
      totals.found[kind] += 1;
      if (repaired && kind !== 'uuid' && kind !== 'regions') totals.repaired[kind] += 1;
    }
    if (repaired) totals.repairs += 1;
    if (isOnly(finding, 'uuid') && totals.found.uuid > UUID_SAMPLES) return;
    const line: SampleLine = {
      ...finding,
      ...place,
      identifier: clearIdentifiers ? identifier : hash('sha256', identifier, 'hex').slice(0, 16),
      ...(repaired === undefined ? {} : { repaired }),
    };
    samples.add(line);
  }

  function addSides({ identity, document }: Partial<Pick<Verdict, 'identity' | 'document'>>): void {
    if (identity !== undefined) totals[identity] += 1;
    if (document !== undefined) totals[document] += 1;
  }

  return {
    /**
     * Counts what is certain about one identity.
     *
     * @param repaired whether its repair succeeded; undefined if none was attempted
     */
    add(comparison: Comparison, repaired?: boolean): void {
      const { verdict, pair, identifier } = comparison;
      addSides(verdict);
      if (pair.core?.kind === 'skipped') addSkipped(pair.core);
      addChecksums(comparison, repaired ?? false);
      const place = { environmentId: pair.environmentId, identityId: identityIdOf(pair), identifier };
      if (verdict.finding !== undefined) addFinding(place, verdict.finding, repaired);
    },

    /**
     * Counts, as it was found, what was repaired some time ago and is right now.
     *
     * @param now its present state; undefined for a row that is gone or whose document has its override
     */
    addRepaired({ environmentId, identifier, repaired }: RepairedCandidate, now: Comparison | undefined): void {
      const { finding, identityId } = repaired;
      const isSkipped = now?.verdict.identity === 'skipped';
      // What Core has changed since may fit into a document now, or not any more.
      addSides(now !== undefined && isSkipped !== (repaired.identity === 'skipped') ? now.verdict : repaired);
      if (now?.pair.core?.kind === 'skipped') addSkipped(now.pair.core);
      if (now !== undefined) addChecksums(now, false);
      addFinding({ environmentId, identityId, identifier }, withRegions(finding, now?.verdict.finding), true);
    },

    addUnsettled(): void {
      totals.unsettled += 1;
    },

    addRows(rows: number): void {
      totals.rows += rows;
    },

    addCosts(costs: { readUnits: number; writeUnits: number }): void {
      totals.readUnits += costs.readUnits;
      totals.writeUnits += costs.writeUnits;
    },

    totals: (): VerifyTotals => ({
      ...structuredClone(totals),
      coreChecksum: core.text(),
      edgeChecksum: edge.text(),
    }),
    samples,
    skipped: skippedLines,
  };
}

export type Tally = ReturnType<typeof createTally>;

/** What was found of the home region, and how other regions differ from it now. */
function withRegions({ regions: _before, kinds, ...others }: Finding, now: Finding | undefined): Finding {
  const own = kinds.filter((kind) => kind !== 'regions');
  const { regions } = now ?? {};
  return regions === undefined ? { kinds: own, ...others } : { kinds: [...own, 'regions'], ...others, regions };
}
