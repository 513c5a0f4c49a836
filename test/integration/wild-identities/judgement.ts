import { canonicalText } from '../../core/canonical.ts';
import { expectedDocuments } from '../../core/expectation.ts';
import { sortTraits } from '../../e2e/comparison.ts';
import type { TestTables } from '../../edge/tables.ts';
import { isTooLarge, PROJECTS } from './population.ts';

type Item = Awaited<ReturnType<TestTables['scan']>>[number];

/** Composite keys. */
export interface Judgement {
  readonly missing: readonly string[];
  /** Also missing, because the identity with the document was deleted: another one's may replace it. */
  readonly freed: readonly string[];
  readonly different: readonly string[];
  readonly extra: readonly string[];
}

export const AS_IT_MUST_BE: Judgement = { missing: [], freed: [], different: [], extra: [] };

/** Additions by Edge clients to documents that came from Core. */
export const EDGE_TRAIT = 'set on Edge';

export interface Evidence {
  readonly databaseUrl: string;
  readonly items: readonly Item[];
  /** Keys and original documents of other owners. */
  readonly foreign: ReadonlyMap<string, Item>;
  /**
   * Documents by key from before replay: those of identities that Edge can no longer store may remain, and traits
   * have any order.
   */
  readonly replayedOver?: ReadonlyMap<string, Item>;
}

/**
 * Compares Edge with an independent statement of what Flagsmith would have written. If two identities share a key,
 * either may have it.
 */
export async function judge({ databaseUrl, items, foreign, replayedOver }: Evidence): Promise<Judgement> {
  const actual = new Map(items.map((item) => [item['composite_key']?.S ?? '', item]));
  const [missing, freed, different]: [string[], string[], string[]] = [[], [], []];
  for (const [key, item] of foreign) {
    if (JSON.stringify(actual.get(key)) !== JSON.stringify(item)) different.push(key);
    actual.delete(key);
  }
  const text = (document: Item) => canonicalText(replayedOver === undefined ? document : sortTraits(document));
  for (const [key, documents] of await readClaims(databaseUrl)) {
    if (foreign.has(key)) continue;
    const item = actual.get(key);
    if (item === undefined) {
      if ([...documents.values()].every((document) => document === undefined)) continue;
      const former = replayedOver?.get(key);
      const isFreed = former !== undefined && !documents.has(ownerOf(former));
      (isFreed ? freed : missing).push(key);
      continue;
    }
    const owner = ownerOf(item);
    const document = documents.get(owner);
    if (document !== undefined && text(document) !== text(withoutEdgeTrait(item))) different.push(key);
    const mayRemain = documents.has(owner) && replayedOver?.has(key);
    if (document !== undefined || mayRemain) actual.delete(key);
  }
  return { missing, freed, different, extra: [...actual.keys()] };
}

/** By composite key, the expected document of each of its identities, by owner; undefined if Edge cannot store it. */
async function readClaims(databaseUrl: string): Promise<Map<string, Map<string, Item | undefined>>> {
  const claims = new Map<string, Map<string, Item | undefined>>();
  for (const projectId of PROJECTS) {
    for await (const { key, storable, document } of expectedDocuments(databaseUrl, projectId)) {
      const documents = claims.get(key) ?? new Map<string, Item | undefined>();
      const item = document as Item;
      claims.set(key, documents.set(ownerOf(item), storable && !isTooLarge(item) ? item : undefined));
    }
  }
  return claims;
}

/** The owner of a document: two identities may have one composite key. */
const ownerOf = ({ environment_api_key, identifier }: Item) => JSON.stringify([environment_api_key?.S, identifier?.S]);

export const hasEdgeTrait = (item: Item) => (item['identity_traits']?.L ?? []).some(isEdgeTrait);

function withoutEdgeTrait(item: Item): Item {
  if (!hasEdgeTrait(item)) return item;
  return { ...item, identity_traits: { L: item['identity_traits']!.L!.filter((trait) => !isEdgeTrait(trait)) } };
}

const isEdgeTrait = ({ M }: NonNullable<Item[string]['L']>[number]) => M?.['trait_key']?.S === EDGE_TRAIT;
