import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from './document/document.ts';
import { sameValue } from './document/reader.ts';
import { overriddenFeature } from './override-rows.ts';

/** Trait keys and feature ids (decimal text, as in the document) on which Edge has to agree with Core. */
export interface Touched {
  traits: 'all' | ReadonlySet<string>;
  overrides: 'all' | ReadonlySet<string>;
  /** Touched traits to remove where Core has none; all when left out. The others may be Edge's own. */
  removable?: ReadonlySet<string>;
  /** Core's identity may have come to this key from another one, with everything that it has. */
  moved?: boolean;
}

/** Trait keys and feature ids on which Edge cannot agree with Core now, because it cannot store Core's values. */
export interface Pending {
  traits: 'all' | ReadonlySet<string>;
  overrides: 'all' | ReadonlySet<string>;
}

/** The whole document. */
export const EVERYTHING: Pending = { traits: 'all', overrides: 'all' };

export const NOTHING_TOUCHED: Touched = { traits: new Set(), overrides: new Set() };

/** A list of the document whose elements have a key of their own: traits by `trait_key`, overrides by `feature.id`. */
export interface KeyedList {
  attribute: 'identity_traits' | 'identity_features';
  keyOf(element: AttributeValue): string | undefined;
}

export const TRAITS: KeyedList = { attribute: 'identity_traits', keyOf: (element) => element.M?.['trait_key']?.S };
export const OVERRIDES: KeyedList = { attribute: 'identity_features', keyOf: overriddenFeature };

/**
 * The attributes of Edge's document that have to change so that it agrees with Core's on what was touched, and on
 * nothing else: a touched element takes Core's value in its place, is removed where Core has none, and is appended
 * where Edge had none. Elements that we cannot read, and everything untouched, stay as they are.
 *
 * @param edge the document as read from Edge
 * @param core the document that Core's rows would make
 * @returns only the attributes that change; `{}` when Edge already agrees
 */
export function mergeTouched(edge: Item, core: Item, touched: Touched): Item {
  return {
    ...mergeList(TRAITS, edge, core, touched.traits, touched.removable),
    ...mergeList(OVERRIDES, edge, core, touched.overrides),
  };
}

function mergeList(
  { attribute, keyOf }: KeyedList,
  edge: Item,
  core: Item,
  touched: 'all' | ReadonlySet<string>,
  removable?: ReadonlySet<string>,
): Item {
  const wanted = new Map(listElements(core, attribute).map((element) => [keyOf(element), element]));
  const isTouched = (key: string | undefined): key is string =>
    key !== undefined && (touched === 'all' || touched.has(key));
  const before = listElements(edge, attribute);
  const after: AttributeValue[] = [];
  const placed = new Set<string>();
  for (const element of before) {
    const key = keyOf(element);
    if (!isTouched(key)) {
      after.push(element);
      continue;
    }
    const value = wanted.get(key);
    if (value === undefined && removable?.has(key) === false) after.push(element);
    if (value !== undefined && !placed.has(key)) after.push(sameValue(value, element) ? element : value);
    placed.add(key);
  }
  for (const [key, element] of wanted) if (isTouched(key) && !placed.has(key)) after.push(element);
  const isSame = after.length === before.length && after.every((element, index) => element === before[index]);
  return isSame ? {} : { [attribute]: { L: after } };
}

/** Traits that Core has and Edge lacks; for documents created on Edge. */
export function findMissingTraits(edge: Item, core: Item): Touched {
  const present = new Set(listElements(edge, 'identity_traits').map(TRAITS.keyOf));
  const keys = listElements(core, 'identity_traits').map(TRAITS.keyOf);
  return {
    ...NOTHING_TOUCHED,
    traits: new Set(keys.filter((key): key is string => key !== undefined && !present.has(key))),
  };
}

/** The union of what was touched by both. */
export function joinTouched(all: readonly Touched[]): Touched {
  const moved = all.some((touched) => touched.moved);
  const removable = unionOf(all.map((touched) => touched.removable ?? touched.traits));
  return {
    traits: unionOf(all.map(({ traits }) => traits)),
    overrides: unionOf(all.map(({ overrides }) => overrides)),
    ...(removable !== 'all' && all.some((touched) => touched.removable) && { removable }),
    ...(moved && { moved }),
  };
}

/** The touched keys, without those that cannot be stored. */
export function leaveOut(touched: Touched, left: Pending, edge: Item, core: Item): Touched {
  const without = (list: KeyedList, all: Touched['traits'], out: Pending['traits']): Touched['traits'] => {
    if (out === 'all') return new Set();
    if (out.size === 0) return all;
    const keys = all === 'all' ? keysOf(edge, list).union(keysOf(core, list)) : new Set(all);
    return keys.difference(out);
  };
  return {
    ...touched,
    traits: without(TRAITS, touched.traits, left.traits),
    overrides: without(OVERRIDES, touched.overrides, left.overrides),
  };
}

/** Whether everything in `touched` is also in `other`. */
export function covers(other: Touched, touched: Touched): boolean {
  const includes = (all: Touched['traits'], some: Touched['traits']) =>
    all === 'all' || (some !== 'all' && new Set(some).isSubsetOf(all));
  const isMoved = other.moved || !touched.moved;
  return isMoved && includes(other.traits, touched.traits) && includes(other.overrides, touched.overrides);
}

/** Whether something that was touched is pending. */
export function touches(touched: Touched, pending: Pending): boolean {
  const { traits, overrides } = pending;
  if (traits === 'all' || overrides === 'all') return true;
  if (touched.moved && traits.size > 0) return true;
  const meets = (all: Touched['traits'], some: ReadonlySet<string>) =>
    some.size > 0 && (all === 'all' || !some.isDisjointFrom(new Set(all)));
  return meets(touched.traits, traits) || meets(touched.overrides, overrides);
}

function unionOf(sets: readonly Touched['traits'][]): Touched['traits'] {
  const all = new Set<string>();
  for (const set of sets) {
    if (set === 'all') return 'all';
    for (const key of set) all.add(key);
  }
  return all;
}

/** Everything that Core has, so that Edge's other traits and overrides stay. */
export function findAllOfCore(core: Item): Touched {
  return { traits: keysOf(core, TRAITS), overrides: keysOf(core, OVERRIDES) };
}

/** Everything that Edge's document has and Core's lacks. */
export function findExtras(edge: Item, core: Item): { traits: ReadonlySet<string>; overrides: ReadonlySet<string> } {
  const extras = (list: KeyedList) => keysOf(edge, list).difference(keysOf(core, list));
  return { traits: extras(TRAITS), overrides: extras(OVERRIDES) };
}

/** The overrides of a document that came from a row of Core: Edge clients give theirs no `django_id`. */
export function findOverridesOfCore(edge: Item): string[] {
  const fromCore = listElements(edge, 'identity_features').filter(({ M }) => M?.['django_id']?.N !== undefined);
  return fromCore.map(overriddenFeature).filter((key) => key !== undefined);
}

/** The differences between a document in Edge and the one that Core's rows make. */
export interface Difference {
  /** In Core, not in Edge. */
  missingTraits: number;
  differingTraits: number;
  /** In Edge, not in Core. */
  extraTraits: number;
  missingOverrides: number;
  differingOverrides: number;
  extraOverrides: number;
  /** Names of other attributes. */
  attributes: string[];
}

/** Edge's own: never written from Core, or free to differ. */
const NOT_COMPARED = new Set(['identity_uuid', 'identity_traits', 'identity_features']);

/** Compares Core with Edge; undefined when they agree. Attributes that only Edge has are its own. */
export function compareDocuments(edge: Item, core: Item): Difference | undefined {
  const traits = compareList(TRAITS, edge, core);
  const overrides = compareList(OVERRIDES, edge, core);
  const attributes = Object.keys(core).filter(
    (name) => !NOT_COMPARED.has(name) && !(edge[name] && sameValue(edge[name], core[name] as AttributeValue)),
  );
  const difference = {
    missingTraits: traits.missing,
    differingTraits: traits.differing,
    extraTraits: traits.extra,
    missingOverrides: overrides.missing,
    differingOverrides: overrides.differing,
    extraOverrides: overrides.extra,
    attributes,
  };
  const isEqual =
    attributes.length === 0 && [traits, overrides].every((list) => list.missing + list.differing + list.extra === 0);
  return isEqual ? undefined : difference;
}

function compareList({ attribute, keyOf }: KeyedList, edge: Item, core: Item) {
  const wanted = new Map(listElements(core, attribute).map((element) => [keyOf(element), element]));
  // Readers take the last of several elements with one key.
  const found = new Map(listElements(edge, attribute).map((element) => [keyOf(element), element]));
  let missing = 0;
  let differing = 0;
  for (const [key, element] of wanted) {
    const other = found.get(key);
    if (other === undefined) missing += 1;
    else if (!sameValue(other, element)) differing += 1;
  }
  const extra = [...found.keys()].filter((key) => !wanted.has(key)).length;
  return { missing, differing, extra };
}

/** The elements of one of a document's lists. */
export function listElements(item: Item, attribute: string): AttributeValue[] {
  return item[attribute]?.L ?? [];
}

function keysOf(item: Item, { attribute, keyOf }: KeyedList): Set<string> {
  return new Set(
    listElements(item, attribute)
      .map(keyOf)
      .filter((key): key is string => key !== undefined),
  );
}
