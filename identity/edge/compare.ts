import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { canonicalText } from './canonical.ts';
import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import type { Touched } from './merge.ts';
import { overriddenFeature } from './override-rows.ts';
import { isReplicationAttribute } from './replication-attributes.ts';

/** The differences of one list of the document, traits or overrides; by trait key or by Core's feature id. */
export interface ListDifference {
  /** In Core, not in Edge. */
  readonly missing: readonly string[];
  /** In both, with another value. */
  readonly changed: readonly string[];
  /** In Edge, not in Core. */
  readonly extra: readonly string[];
  /** Elements without a key, or with the same key as another one. */
  readonly irregular: number;
}

/** The differences between a document in Edge and the one that Core's rows make. */
export interface DocumentDifference {
  readonly traits: ListDifference;
  readonly overrides: ListDifference;
  /** Other attributes of Core's document that Edge's lacks, or has with another value. */
  readonly attributes: readonly string[];
  /** Attributes that neither Flagsmith nor we write. */
  readonly foreign: readonly string[];
}

const LISTS = {
  traits: { attribute: 'identity_traits', keyOf: (element: AttributeValue) => element.M?.['trait_key']?.S },
  overrides: { attribute: 'identity_features', keyOf: overriddenFeature },
} as const;

const LISTED = Object.values(LISTS).map(({ attribute }) => attribute);

/** Attributes that a document may have without Core knowing of them: Edge's own. */
const EDGE_OWN = new Set(['dashboard_alias', 'system_traits', 'identity_uuid']);

const isOwnOfEdge = (name: string) => EDGE_OWN.has(name) || isReplicationAttribute(name);

/** Compared list by list, or free to differ. */
const NOT_COMPARED = new Set(['identity_uuid', 'identity_traits', 'identity_features']);

const NONE: ListDifference = { missing: [], changed: [], extra: [], irregular: 0 };

/**
 * Compares a document with the one that Core's rows make; undefined when they agree. `identity_uuid` and
 * `dashboard_alias` are Edge's own, and so are `system_traits` where Core has none.
 */
export function findDifferences(edge: Readonly<Item>, core: Readonly<Item>): DocumentDifference | undefined {
  const traits = compareList('traits', edge, core);
  const overrides = compareList('overrides', edge, core);
  const attributes: string[] = [];
  for (const name in core) {
    if (!NOT_COMPARED.has(name) && !sameValue(edge[name], core[name])) attributes.push(name);
  }
  for (const attribute of LISTED) if (edge[attribute]?.L === undefined) attributes.push(attribute);
  const foreign: string[] = [];
  for (const name in edge) if (!Object.hasOwn(core, name) && !isOwnOfEdge(name)) foreign.push(name);
  const isEqual = traits === NONE && overrides === NONE && attributes.length === 0 && foreign.length === 0;
  return isEqual ? undefined : { traits, overrides, attributes, foreign };
}

function compareList(list: keyof typeof LISTS, edge: Readonly<Item>, core: Readonly<Item>): ListDifference {
  const { attribute, keyOf } = LISTS[list];
  const found = edge[attribute]?.L ?? [];
  const wanted = core[attribute]?.L ?? [];
  // The usual case: written by us, and not touched since.
  if (sameList(found, wanted)) return NONE;
  const byKey = new Map<string, AttributeValue>();
  let irregular = 0;
  for (const element of found) {
    const key = keyOf(element);
    if (key === undefined || byKey.has(key)) irregular += 1;
    // Readers take the last of several elements with one key.
    if (key !== undefined) byKey.set(key, element);
  }
  const missing: string[] = [];
  const changed: string[] = [];
  for (const element of wanted) {
    const key = keyOf(element) ?? '';
    const other = byKey.get(key);
    byKey.delete(key);
    if (other === undefined) missing.push(key);
    else if (!sameElement(other, element)) changed.push(key);
  }
  const extra = [...byKey.keys()];
  const isSame = missing.length + changed.length + extra.length + irregular === 0;
  return isSame ? NONE : { missing, changed, extra, irregular };
}

function sameList(found: readonly AttributeValue[], wanted: readonly AttributeValue[]): boolean {
  if (found.length !== wanted.length) return false;
  for (let index = 0; index < found.length; index++) if (!sameValue(found[index], wanted[index])) return false;
  return true;
}

/** Multivariate values have no order, and Flagsmith's own migrator writes them in any order. */
function sameElement(one: AttributeValue, other: AttributeValue): boolean {
  return sameValue(one, other) || canonicalText(one) === canonicalText(other);
}

/** The keys to touch so that the lists agree. */
export function touchedBy({ traits, overrides }: DocumentDifference): Touched {
  const keys = ({ missing, changed, extra }: ListDifference) => new Set([...missing, ...changed, ...extra]);
  return { traits: keys(traits), overrides: keys(overrides) };
}

/**
 * The part of a difference that counts for a document that was created on Edge and that Core has too. What only Edge
 * has is its own. Where the migration keeps Edge's documents, so are its values: only missing traits were to be added
 * (docs/concepts.md, "Conflicts").
 */
export function limitToMigrated(
  difference: DocumentDifference | undefined,
  onConflict: 'KeepEdge' | 'CoreWins',
): DocumentDifference | undefined {
  if (difference === undefined) return undefined;
  const { traits, overrides } = difference;
  const limited =
    onConflict === 'KeepEdge'
      ? { traits: { ...NONE, missing: traits.missing }, overrides: NONE }
      : { traits: { ...traits, extra: [] }, overrides: { ...overrides, extra: [] } };
  const size = ({ missing, changed }: ListDifference) => missing.length + changed.length;
  if (size(limited.traits) + size(limited.overrides) === 0) return undefined;
  return { ...limited, attributes: [], foreign: [] };
}
