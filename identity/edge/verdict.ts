import { hash } from 'node:crypto';
import { canonicalItem } from './canonical.ts';
import { type DocumentDifference, findDifferences, type ListDifference, limitToMigrated } from './compare.ts';
import type { EncodedDocument, Item, SkippedIdentity } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import type { DocumentPart } from './document/part.ts';
import { readDocument } from './document/reader.ts';
import type { Pending } from './merge.ts';
import { overriddenFeature, overrideRows, sameOverrideRow } from './override-rows.ts';
import { compareRegions, type RegionCopy, type RegionDifference } from './region-difference.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';
import { keyOf, rowName } from './table/override-rows.ts';

/**
 * - `missing`: Core has the identity, Edge has no document of it, or one of an earlier identity of that identifier.
 * - `extra`: a document that came from Core, and Core has no such identity.
 * - `differing`: the document does not match Core.
 * - `malformed`: Flagsmith's readers refuse the document, or cannot find it.
 * - `rows`: rows of `environments_v2` are missing, left over, or do not match the document.
 * - `regions`: a region's copy of the document, or of its rows, differs from the home region's.
 * - `uuid`: a valid `identity_uuid` other than the one that we assign; for information, since other tools differ.
 */
export type FindingKind = 'missing' | 'extra' | 'differing' | 'malformed' | 'rows' | 'regions' | 'uuid';

/** The faults of an identity; ids, trait keys and attribute names, never a value. */
export interface Finding {
  /** The most serious first. */
  readonly kinds: readonly FindingKind[];
  readonly difference?: DocumentDifference;
  /** Rules of Flagsmith's readers that the document breaks. */
  readonly problems?: readonly string[];
  /** Feature ids. */
  readonly rows?: RowDifference;
  readonly regions?: readonly RegionDifference[];
}

interface RowDifference {
  readonly missing: readonly string[];
  readonly changed: readonly string[];
}

/** One identity as both stores have it. */
export interface Verdict {
  /** From Core's identity; undefined where Core has none. */
  readonly identity: 'equal' | 'differing' | 'missing' | 'skipped' | undefined;
  /** From Edge's document; undefined where Edge has none. */
  readonly document: 'matched' | 'extra' | 'edgeBorn' | undefined;
  readonly finding: Finding | undefined;
}

export interface JudgedPair {
  readonly environmentId: number;
  readonly core: EncodedDocument | PartlySkipped | undefined;
  readonly edge: Item | undefined;
  /** The existing rows among those that the document requires, by name; undefined where there is no such table. */
  readonly rows: ReadonlyMap<string, Item> | undefined;
  /** How the migration treated documents that were created on Edge. */
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** The copies under the document's key in the compared regions; undefined where that is the home region alone. */
  readonly regions?: RegionsPair | undefined;
}

export interface RegionsPair {
  readonly home: Omit<RegionCopy, 'region'>;
  readonly copies: readonly RegionCopy[];
}

const CANONICAL_UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Judges one identity as both stores have it now (docs/verification.md, "What is compared"). */
export function judge(pair: JudgedPair): Verdict {
  return withRegions(judgeHome(pair), pair);
}

/** Only the differences between regions. */
export const judgeRegions = (pair: JudgedPair): Verdict => withRegions(NOTHING_THERE, pair);

/** The most serious kinds come first, and this one before `uuid`, which is for information only. */
function withRegions(verdict: Verdict, { regions: pair }: JudgedPair): Verdict {
  const regions = pair === undefined ? [] : compareRegions(pair.home, pair.copies);
  if (regions.length === 0) return verdict;
  const { kinds = [], ...others } = verdict.finding ?? {};
  const grave = kinds.filter((kind) => kind !== 'uuid');
  const uuid = kinds.filter((kind) => kind === 'uuid');
  return { ...verdict, finding: { ...others, kinds: [...grave, 'regions', ...uuid], regions } };
}

function judgeHome(pair: JudgedPair): Verdict {
  const { core, edge } = pair;
  if (core === undefined) return edge === undefined ? NOTHING_THERE : judgeWithoutCore(edge);
  if (core.kind === 'skipped') return judgeUnstorable(core, edge);
  if (edge === undefined) return { identity: 'missing', document: undefined, finding: { kinds: ['missing'] } };
  const origin = originOf(edge, core.item['django_id']!.N!);
  // Core has deleted the identity and created it again.
  if (origin === 'other') return { identity: 'missing', document: 'extra', finding: { kinds: ['missing', 'extra'] } };
  const whole = findDifferences(edge, core.item);
  const difference = origin === 'edge' ? limitToMigrated(whole, pair.onConflict) : whole;
  const hasOurUuid = sameValue(edge['identity_uuid'], core.item['identity_uuid']);
  const finding = describe({
    difference,
    problems: whole === undefined && (hasOurUuid || hasGoodUuid(edge)) ? [] : findProblems(edge),
    rows: compareRows(pair),
    uuid: origin === 'core' && !hasOurUuid,
  });
  const isDiffering = finding?.kinds.some((kind) => kind === 'differing' || kind === 'malformed') ?? false;
  return {
    identity: isDiffering ? 'differing' : 'equal',
    document: origin === 'edge' ? 'edgeBorn' : 'matched',
    finding,
  };
}

const NOTHING_THERE: Verdict = { identity: undefined, document: undefined, finding: undefined };

/** A document whose key does not follow from its attributes: look-ups of its identity do not find it. */
export function judgeMisplaced(pair: JudgedPair): Verdict {
  return withRegions(judgeMisplacedHome(pair.edge), pair);
}

function judgeMisplacedHome(edge: Item | undefined): Verdict {
  if (edge === undefined) return NOTHING_THERE;
  const { document } = judgeWithoutCore(edge);
  const problems = ['composite_key: does not follow from environment_api_key and identifier'];
  const kinds: FindingKind[] = document === 'extra' ? ['extra', 'malformed'] : ['malformed'];
  return { identity: undefined, document, finding: { kinds, problems } };
}

function judgeWithoutCore(edge: Item): Verdict {
  const problems = findProblems(edge);
  const malformed: FindingKind[] = problems.length > 0 ? ['malformed'] : [];
  const isExtra = originOf(edge, '') === 'other';
  const kinds: FindingKind[] = isExtra ? ['extra', ...malformed] : malformed;
  return {
    identity: undefined,
    document: isExtra ? 'extra' : 'edgeBorn',
    finding: kinds.length === 0 ? undefined : { kinds, ...(problems.length > 0 ? { problems } : {}) },
  };
}

/** An identity that Edge cannot hold as a whole, and the part that replay follows; omitted where that is unknown. */
interface PartlySkipped extends SkippedIdentity {
  readonly part?: DocumentPart | undefined;
}

/** Edge cannot hold Core's present state; older content stays, the rest is followed (docs/design.md, "Convergence"). */
function judgeUnstorable({ identityId, reason, part }: PartlySkipped, edge: Item | undefined): Verdict {
  if (edge === undefined) return { identity: 'skipped', document: undefined, finding: undefined };
  const origin = originOf(edge, String(identityId));
  if (origin === 'other') return { identity: 'skipped', document: 'extra', finding: { kinds: ['extra'] } };
  if (origin === 'edge') return { identity: 'skipped', document: 'edgeBorn', finding: undefined };
  // The part of an oversized document that fits depends on the order of the writes.
  const difference = part === undefined || reason === 'DocumentTooLarge' ? undefined : comparePart(edge, part);
  const finding: Finding | undefined = difference && { kinds: ['differing'], difference };
  return { identity: 'skipped', document: 'matched', finding };
}

function comparePart(edge: Item, { item, left }: DocumentPart): DocumentDifference | undefined {
  const listsOf = ({ identity_traits, identity_features }: Item) =>
    ({ ...(identity_traits && { identity_traits }), ...(identity_features && { identity_features }) }) satisfies Item;
  const whole = findDifferences(listsOf(edge), listsOf(item));
  if (whole === undefined) return undefined;
  const difference = {
    ...whole,
    traits: withoutKeys(whole.traits, left.traits),
    overrides: withoutKeys(whole.overrides, left.overrides),
  };
  const sizes = [difference.traits, difference.overrides].map(
    ({ missing, changed, extra, irregular }) => missing.length + changed.length + extra.length + irregular,
  );
  return sizes.some((size) => size > 0) || whole.attributes.length > 0 ? difference : undefined;
}

function withoutKeys(difference: ListDifference, left: Pending['traits']): ListDifference {
  const keep = (keys: readonly string[]) => keys.filter((key) => left !== 'all' && !left.has(key));
  const { missing, changed, extra, irregular } = difference;
  return { missing: keep(missing), changed: keep(changed), extra: keep(extra), irregular };
}

/** The origin of a document: this identity of Core, another one, or Edge. */
function originOf(edge: Item, djangoId: string): 'core' | 'other' | 'edge' {
  const found = edge['django_id'];
  if (found === undefined || found.NULL !== undefined) return 'edge';
  // A value that is not a number is damage, not a sign of another origin.
  if (found.N === undefined) return djangoId === '' ? 'other' : 'core';
  return sameValue(found, { N: djangoId || '-1' }) ? 'core' : 'other';
}

function describe({
  difference,
  problems,
  rows,
  uuid,
}: {
  difference: DocumentDifference | undefined;
  problems: readonly string[];
  rows: RowDifference | undefined;
  uuid: boolean;
}): Finding | undefined {
  const kinds: FindingKind[] = [
    ...(problems.length > 0 ? (['malformed'] as const) : []),
    ...(difference === undefined ? [] : (['differing'] as const)),
    ...(rows === undefined ? [] : (['rows'] as const)),
    ...(uuid && problems.length === 0 ? (['uuid'] as const) : []),
  ];
  if (kinds.length === 0) return undefined;
  return {
    kinds,
    ...(difference === undefined ? {} : { difference }),
    ...(problems.length > 0 ? { problems } : {}),
    ...(rows === undefined ? {} : { rows }),
  };
}

const hasGoodUuid = (edge: Item) => CANONICAL_UUID4.test(edge['identity_uuid']?.S ?? '');

/** As many as a person reads. */
const MOST_PROBLEMS = 5;

function findProblems(edge: Item): string[] {
  const read = readDocument(edge);
  const problems = read.kind === 'unreadable' ? read.problems.slice(0, MOST_PROBLEMS) : [];
  const isOurs = read.kind === 'readable' && hasGoodUuid(edge);
  // Readable in another spelling, or regenerated on every read: a look-up by exact text does not find it.
  return read.kind === 'readable' && !isOurs ? ['identity_uuid: must be a version 4 uuid in lower case'] : problems;
}

/** The rows that a document requires. */
export function wantedRows(environmentId: number, edge: Item, writtenTime = 0): Item[] {
  return (edge['identity_features']?.L ?? []).length === 0 ? [] : overrideRows(environmentId, edge, writtenTime);
}

function compareRows({ environmentId, edge, rows }: JudgedPair): RowDifference | undefined {
  if (rows === undefined || edge === undefined) return undefined;
  const missing: string[] = [];
  const changed: string[] = [];
  for (const wanted of wantedRows(environmentId, edge)) {
    const found = rows.get(rowName(keyOf(wanted)));
    const featureId = overriddenFeature(wanted['feature_state']!) ?? '';
    if (found === undefined) missing.push(featureId);
    else if (!sameRow(found, wanted)) changed.push(featureId);
  }
  return missing.length + changed.length === 0 ? undefined : { missing, changed };
}

/**
 * Flagsmith's dashboard writes the bucketed value of a multivariate override into the row, its migration the control
 * value (docs/flagsmith.md, "DynamoDB tables, indexes, limits"): both are right.
 */
function sameRow(found: Item, wanted: Item): boolean {
  return sameOverrideRow(found, wanted) || sameOverrideRow(withoutBucket(found), withoutBucket(wanted));
}

function withoutBucket(row: Item): Item {
  const state = row['feature_state']?.M;
  if (state === undefined || (state['multivariate_feature_state_values']?.L ?? []).length === 0) return row;
  const { feature_state_value: _value, ...rest } = state;
  return { ...row, feature_state: { M: rest } };
}

/** Whether the document has the override that a row repeats, under the same uuid. */
export function hasRow(environmentId: number, edge: Item | undefined, row: Item): boolean {
  return (
    edge !== undefined &&
    wantedRows(environmentId, edge).some((wanted) => rowName(keyOf(wanted)) === rowName(keyOf(row)))
  );
}

const describeSkipped = (core: PartlySkipped | undefined) =>
  `${core?.reason ?? ''}${core?.part === undefined ? '' : canonicalItem(core.part.item)}`;

/** Both sides' state as one text: as long as it is the same, there was no write. */
export function stateOf({ core, edge, rows, regions }: JudgedPair): string {
  const coreText = core?.kind === 'document' ? canonicalItem(core.item) : describeSkipped(core);
  const texts = [coreText, ...copyTexts(edge, rows), ...(regions === undefined ? [] : regionTexts(regions))];
  return hash('sha256', JSON.stringify(texts), 'base64url').slice(0, 22);
}

/** Replication changes its own attributes in items that are not written. */
const writtenText = (item: Item) => canonicalItem(withoutReplicationAttributes(item));

function regionTexts({ home, copies }: RegionsPair): string[] {
  return [home, ...copies].map(({ document, rows }) => JSON.stringify(copyTexts(document, rows)));
}

/** The state of a document and its rows in one place. */
function copyTexts(document: Item | undefined, rows: ReadonlyMap<string, Item> | undefined): string[] {
  const rowTexts = [...(rows ?? [])].map(([name, row]) => `${name} ${writtenText(row)}`).sort();
  return [document === undefined ? '' : writtenText(document), ...rowTexts];
}
