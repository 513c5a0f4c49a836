import { createHash } from 'node:crypto';
import { canonicalText } from '../core/canonical.ts';
import { expectedDocuments } from '../core/expectation.ts';
import type { TestTables } from '../edge/tables.ts';

/** Compares Edge with the expected result for Core's rows, computed by the tests' own encoder. */
export interface Comparison {
  /** Identities of the project in Core. */
  identities: number;
  /** Documents on Edge that are as they must be. */
  equal: number;
  /** Keys that are required but missing on Edge. */
  missing: string[];
  different: string[];
  /** Identities that Edge cannot store. */
  unstorable: number;
  /** Keys on Edge that belong to no storable identity of the project. */
  foreign: string[];
}

export interface ComparisonOptions {
  /** Close writes to different traits of an identity may be replayed in another order. */
  anyTraitOrder?: boolean;
}

/** Compares every document, except for `identity_uuid`, which Core does not know. */
export async function compareStores(
  databaseUrl: string,
  projectId: number,
  tables: Pick<TestTables, 'scan'>,
  { anyTraitOrder = false }: ComparisonOptions = {},
): Promise<Comparison> {
  const digest = (item: object) => hash(anyTraitOrder ? sortTraits(item) : item);
  // Digests, because a million documents would not fit.
  const found = new Map((await tables.scan()).map((item) => [item['composite_key']?.S ?? '', digest(item)]));
  const result: Comparison = { identities: 0, equal: 0, missing: [], different: [], unstorable: 0, foreign: [] };
  for await (const { key, storable, document } of expectedDocuments(databaseUrl, projectId)) {
    result.identities += 1;
    if (!storable) {
      result.unstorable += 1;
      continue;
    }
    const actual = found.get(key);
    found.delete(key);
    if (actual === undefined) result.missing.push(key);
    else if (actual === digest(document)) result.equal += 1;
    else result.different.push(key);
  }
  result.foreign.push(...found.keys());
  return result;
}

const hash = (item: object) => createHash('sha1').update(canonicalText(item)).digest('base64');

interface WithTraits {
  identity_traits?: { L?: { M?: { trait_key?: { S?: string } } }[] };
}

/** The document with its traits by name, for comparisons that ignore their order. */
export function sortTraits(item: WithTraits): object {
  const keyOf = ({ M }: { M?: { trait_key?: { S?: string } } }) => Buffer.from(M?.trait_key?.S ?? '');
  const sorted = [...(item.identity_traits?.L ?? [])].sort((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
  return { ...item, identity_traits: { L: sorted } };
}
