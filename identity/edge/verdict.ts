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
 * - `differing`: the document says something else than Core.
 * - `malformed`: Flagsmith's readers refuse the document, or cannot find it.
 * - `rows`: rows of `environments_v2` are missing, left over, or say something else than the document.
 * - `regions`: a region's copy of the document, or of its rows, is not the one of the home region.
 * - `uuid`: a valid `identity_uuid` that is not the one that we give; for information, since other tools give others.
 */
export type FindingKind = 'missing' | 'extra' | 'differing' | 'malformed' | 'rows' | 'regions' | 'uuid';

/** What is wrong about an identity; ids, trait keys and attribute names, never a value. */
export interface Finding {
  /** The gravest first. */
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

/** What both stores say of one identity. */
export interface Verdict {
  /** Of Core's identity; undefined where Core has none. */
  readonly identity: 'equal' | 'differing' | 'missing' | 'skipped' | undefined;
  /** Of Edge's document; undefined where Edge has none. */
  readonly document: 'matched' | 'extra' | 'edgeBorn' | undefined;
  readonly finding: Finding | undefined;
}

export interface JudgedPair {
  readonly environmentId: number;
  readonly core: EncodedDocument | PartlySkipped | undefined;
  readonly edge: Item | undefined;
  /** Rows that were found among those that the document asks for, by name; undefined where there is no such table. */
  readonly rows: ReadonlyMap<string, Item> | undefined;
  /** What the migration did with documents that were created on Edge. */
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** What is under the document's key in the regions that are compared; undefined where that is the home region alone. */
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

/** What differs between regions, and nothing else. */
export const judgeRegions = (pair: JudgedPair): Verdict => withRegions(NOTHING_THERE, pair);

/** The gravest kinds come first, and this one before `uuid`, which is for information only. */
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

/** A document whose key does not follow from its attributes: nobody who looks for its identity finds it. */
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

/** An identity that Edge cannot hold as a whole, and what of it replay follows; left out where that is not known. */
interface PartlySkipped extends SkippedIdentity {
  readonly part?: DocumentPart | undefined;
}

/** Edge cannot hold what Core has now; what it holds from before stays, the rest is followed (docs/design.md, "Convergence"). */
function judgeUnstorable({ identityId, reason, part }: PartlySkipped, edge: Item | undefined): Verdict {
  if (edge === undefined) return { identity: 'skipped', document: undefined, finding: undefined };
  const origin = originOf(edge, String(identityId));
  if (origin === 'other') return { identity: 'skipped', document: 'extra', finding: { kinds: ['extra'] } };
  if (origin === 'edge') return { identity: 'skipped', document: 'edgeBorn', finding: undefined };
  // Which part of a document that is too large fits into it depends on what was written when.
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

/** Where a document comes from: this identity of Core, another one, or Edge. */
function originOf(edge: Item, djangoId: string): 'core' | 'other' | 'edge' {
  const found = edge['django_id'];
  if (found === undefined || found.NULL !== undefined) return 'edge';
  // What is no number at all is a damaged one, not a sign of another origin.
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

/** As many as anybody reads. */
const MOST_PROBLEMS = 5;

function findProblems(edge: Item): string[] {
  const read = readDocument(edge);
  const problems = read.kind === 'unreadable' ? read.problems.slice(0, MOST_PROBLEMS) : [];
  const isOurs = read.kind === 'readable' && hasGoodUuid(edge);
  // Readable in another spelling, or drawn again on every read: looked up by exact text, it is not found.
  return read.kind === 'readable' && !isOurs ? ['identity_uuid: must be a version 4 uuid in lower case'] : problems;
}

/** The rows that a document asks for. */
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

/** One text for the state of both sides: as long as it stays, nobody has written. */
export function stateOf({ core, edge, rows, regions }: JudgedPair): string {
  const coreText = core?.kind === 'document' ? canonicalItem(core.item) : describeSkipped(core);
  const texts = [coreText, ...copyTexts(edge, rows), ...(regions === undefined ? [] : regionTexts(regions))];
  return hash('sha256', JSON.stringify(texts), 'base64url').slice(0, 22);
}

/** Replication changes attributes of its own in items that nobody writes. */
const writtenText = (item: Item) => canonicalItem(withoutReplicationAttributes(item));

function regionTexts({ home, copies }: RegionsPair): string[] {
  return [home, ...copies].map(({ document, rows }) => JSON.stringify(copyTexts(document, rows)));
}

/** Of a document and its rows in one place. */
function copyTexts(document: Item | undefined, rows: ReadonlyMap<string, Item> | undefined): string[] {
  const rowTexts = [...(rows ?? [])].map(([name, row]) => `${name} ${writtenText(row)}`).sort();
  return [document === undefined ? '' : writtenText(document), ...rowTexts];
}
