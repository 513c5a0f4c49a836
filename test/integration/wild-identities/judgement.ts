import { canonicalText } from '../../core/canonical.ts';
import { expectedDocuments } from '../../core/expectation.ts';
import { sortTraits } from '../../e2e/comparison.ts';
import type { TestTables } from '../../edge/tables.ts';
import { isTooLarge, PROJECTS } from './population.ts';

type Item = Awaited<ReturnType<TestTables['scan']>>[number];

/** Composite keys. */
export interface Judgement {
  readonly missing: readonly string[];
  readonly different: readonly string[];
  readonly extra: readonly string[];
}

export const AS_IT_MUST_BE: Judgement = { missing: [], different: [], extra: [] };

/** What Edge clients have added to documents that came from Core. */
export const EDGE_TRAIT = 'set on Edge';

export interface Evidence {
  readonly databaseUrl: string;
  readonly items: readonly Item[];
  /** Keys and documents of others, as they were. */
  readonly foreign: ReadonlyMap<string, Item>;
  /** Replay has been at work: what identities of these keys cannot hold any more may remain, and traits have any order. */
  readonly replayedOver?: ReadonlySet<string>;
}

/**
 * Compares Edge with an independent statement of what Flagsmith would have written. Of two identities with one key
 * either may have it.
 */
export async function judge({ databaseUrl, items, foreign, replayedOver }: Evidence): Promise<Judgement> {
  const actual = new Map(items.map((item) => [item['composite_key']?.S ?? '', item]));
  const different: string[] = [];
  for (const [key, item] of foreign) {
    if (JSON.stringify(actual.get(key)) !== JSON.stringify(item)) different.push(key);
    actual.delete(key);
  }
  const text = (document: object) => canonicalText(replayedOver === undefined ? document : sortTraits(document));
  const wanted = new Map<string, string[]>();
  for (const projectId of PROJECTS) {
    for await (const { key, storable, document } of expectedDocuments(databaseUrl, projectId)) {
      if (foreign.has(key)) continue;
      if (storable && !isTooLarge(document)) wanted.set(key, [...(wanted.get(key) ?? []), text(document)]);
      else if (replayedOver?.has(key)) actual.delete(key);
    }
  }
  const missing: string[] = [];
  for (const [key, texts] of wanted) {
    const item = actual.get(key);
    if (item === undefined) missing.push(key);
    else if (!texts.includes(text(withoutEdgeTrait(item)))) different.push(key);
    actual.delete(key);
  }
  return { missing, different, extra: [...actual.keys()] };
}

export const hasEdgeTrait = (item: Item) => (item['identity_traits']?.L ?? []).some(isEdgeTrait);

function withoutEdgeTrait(item: Item): Item {
  if (!hasEdgeTrait(item)) return item;
  return { ...item, identity_traits: { L: item['identity_traits']!.L!.filter((trait) => !isEdgeTrait(trait)) } };
}

const isEdgeTrait = ({ M }: NonNullable<Item[string]['L']>[number]) => M?.['trait_key']?.S === EDGE_TRAIT;
