import type { Clock } from '@edge-migration/identity/clock.ts';
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
  clock: Clock;
  signal: AbortSignal;
}

/** Less than the time after which events about whole environments are handled again. */
const REMEMBERED_MILLIS = 10_000;
const PAGE = 1000;
/** Identities that Core is asked for. */
const CANDIDATES = 100;

/**
 * A renamed key may still be in thousands of events that were published before: whoever has not met it reads it from
 * Edge once, for all of them.
 */
export function createFormerKeys({ edge, environmentOf, patience, clock, signal }: FormerKeysOptions): FormerKeys {
  const answers = new Map<string, { readonly owner: Promise<Owner>; readonly until: number }>();

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

  return {
    find(apiKey) {
      const now = clock.monotonic();
      const known = answers.get(apiKey);
      if (known !== undefined && known.until > now) return known.owner;
      for (const [key, { until }] of answers) if (until <= now) answers.delete(key);
      // As long as it is being read, it is not read again; nor is what failed asked for again by those who wait now.
      const owner = read(apiKey);
      answers.set(apiKey, { owner, until: now + REMEMBERED_MILLIS });
      owner.catch(() => answers.delete(apiKey));
      return owner;
    },
  };
}
