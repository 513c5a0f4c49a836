import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { compositeKey, type Item } from '@edge-migration/identity/edge/document/document.ts';
import type { OverrideRowKey } from '@edge-migration/identity/edge/table/override-rows.ts';
import type { Finding, FindingKind, JudgedPair, Verdict } from '@edge-migration/identity/edge/verdict.ts';

/** One identity, document or row, and its present state in both stores. */
export interface Comparison {
  readonly kind: 'identity' | 'misplaced' | 'row' | RegionKind;
  readonly environment: CoreEnvironment;
  readonly identifier: string;
  /** Of the document. */
  readonly key: string;
  readonly row?: OverrideRowKey;
  /** The other region that has it, if the kind is {@link RegionKind}. */
  readonly region?: string;
  readonly verdict: Verdict;
  readonly pair: JudgedPair;
}

/** A document or a row of `environments_v2` that another region has and the home region did not have. */
export type RegionKind = 'regionDocument' | 'regionRow';

export const isRegionKind = (kind: Comparison['kind']): kind is RegionKind =>
  kind === 'regionDocument' || kind === 'regionRow';

/** The fields by which it is found again. */
export type ComparisonKey = Pick<Comparison, 'identifier' | 'key' | 'row' | 'region'>;

/** Key of the document that a row refers to; empty if it refers to none. */
export function documentKeyOf(row: Item): string {
  const { environment_api_key, identifier } = row;
  return environment_api_key?.S && identifier?.S ? compositeKey(environment_api_key.S, identifier.S) : '';
}

/** Whether this is the only finding. */
export const isOnly = ({ kinds }: Finding, kind: FindingKind) => kinds.length === 1 && kinds[0] === kind;

/** Whether a finding must be compared again before it is certain. */
export const isDoubtful = ({ verdict: { finding } }: Comparison) => finding !== undefined && !isOnly(finding, 'uuid');

/** Core's id of the identity; the document's `django_id` if Core has none. */
export function identityIdOf({ core, edge, regions }: JudgedPair): number | undefined {
  if (core?.kind === 'skipped') return core.identityId;
  const document = edge ?? regions?.copies.find(({ document }) => document)?.document;
  const id = Number(core?.item['django_id']?.N ?? document?.['django_id']?.N);
  return Number.isNaN(id) ? undefined : id;
}
