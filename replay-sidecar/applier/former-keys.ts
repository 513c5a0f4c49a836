import { createBatcher } from '@edge-migration/identity/batcher.ts';
import type { EdgeTables } from '@edge-migration/identity/edge/table.ts';
import type { Patience } from './patience.ts';

/** Whose a client key was, as far as Edge's documents tell. */
export type Owner =
  | { readonly kind: 'environment'; readonly environmentId: number }
  /** Edge has no document of it that came from Core. */
  | { readonly kind: 'none' }
  /** It has some, and Core has none of their identities any more. */
  | { readonly kind: 'unknown' };

export interface FormerKeys {
  /** For a client key that Core does not know. Waits through outages; rejects with the signal's reason. */
  find(apiKey: string): Promise<Owner>;
}

export interface FormerKeysOptions {
  edge: EdgeTables;
  /** The environment of one of Core's identities. */
  environmentOf(identityId: number): Promise<number | undefined>;
  patience: Patience;
  signal: AbortSignal;
}

const PAGE = 1000;
/** Identities that Core is asked for. */
const CANDIDATES = 100;

/**
 * A renamed key may still be in thousands of events that were published before: whoever has not met it reads it from
 * Edge once for all who wait, and tells the directory.
 */
export function createFormerKeys({ edge, environmentOf, patience, signal }: FormerKeysOptions): FormerKeys {
  const reads = createBatcher((apiKeys: readonly string[]) => Promise.all(apiKeys.map(read)));

  async function read(apiKey: string): Promise<Owner> {
    const ids = await patience.persist(() => readDjangoIds(apiKey), signal);
    if (ids.length === 0) return { kind: 'none' };
    const environments = await Promise.all(ids.map(environmentOf));
    const environmentId = environments.find((id) => id !== undefined);
    return environmentId === undefined ? { kind: 'unknown' } : { kind: 'environment', environmentId };
  }

  /** Core's ids of the first documents of a key. */
  async function readDjangoIds(apiKey: string): Promise<number[]> {
    const ids: number[] = [];
    let after: string | undefined;
    do {
      const page = await edge.identities.listEnvironment({ apiKey, after, limit: PAGE }, { signal });
      ids.push(...page.documents.flatMap(({ djangoId }) => (djangoId === undefined ? [] : [Number(djangoId)])));
      after = page.next;
    } while (after !== undefined && ids.length === 0);
    return ids.slice(0, CANDIDATES);
  }

  return { find: (apiKey) => reads.ask(apiKey, apiKey) };
}
