import { type BatcherOptions, createBatcher } from './batcher.ts';
import type { Stores } from './converge.ts';
import { type IdentityPlace, readIdentitiesAt } from './core/pages.ts';
import { GET_BATCH, INSERT_BATCH, type SharedWrite, type WriteResult } from './edge/table.ts';
import type { DocumentWrite } from './edge/table-writes.ts';

/** Loads of each kind at the same time: the next one fills while these are under way. */
const PARALLEL = 2;

/**
 * The same stores for many identities that are converged at the same time: what they read, and single writes of theirs,
 * goes together in calls for many.
 *
 * The protocol is not touched (docs/design.md, "Convergence"). Each identity keeps its own loop, and whatever it asks
 * is answered by a call that begins after it asked, so it sees what it could have seen by a call of its own a little
 * later. Each write is conditional by itself, and done alone when the answer for all leaves a doubt.
 *
 * @param options `signal` ends all calls; `isOutage` tells errors for which no single identity can be to blame
 */
export function shareStores(
  stores: Stores,
  { signal, isOutage }: { signal: AbortSignal; isOutage(error: unknown): boolean },
): Stores {
  const { core, release, edge } = stores;
  const { identities } = edge;
  const reading: BatcherOptions = { most: GET_BATCH, parallel: PARALLEL, isolates: (error) => !isOutage(error) };
  const rows = createBatcher(
    (places: readonly IdentityPlace[]) => readIdentitiesAt(core, release, places, signal),
    reading,
  );
  const documents = createBatcher(async (keys: readonly string[]) => {
    const found = await identities.getMany(keys, { signal });
    return keys.map((key) => found.get(key));
  }, reading);
  const writes = createBatcher((all: readonly SharedWrite[]) => identities.writeMany(all, { signal }), {
    most: INSERT_BATCH,
    parallel: PARALLEL,
  });
  let count = 0;

  async function write(
    document: DocumentWrite,
    own: AbortSignal | undefined,
    alone: () => Promise<WriteResult>,
  ): Promise<WriteResult> {
    own?.throwIfAborted();
    const result = await writes.ask(String(count++), { write: document, signal: own });
    own?.throwIfAborted();
    if (result === 'unclear') return alone();
    return result === 'written' ? result : { changed: undefined };
  }

  return {
    ...stores,
    readIdentity: (place) => rows.ask(`${place.environmentId} ${place.identifier}`, place),
    edge: {
      ...edge,
      identities: {
        ...identities,
        get: (key) => documents.ask(key, key),
        putIfUnchanged: (item, expected, options) =>
          write({ kind: 'put', item, expected }, options?.signal, () =>
            identities.putIfUnchanged(item, expected, options),
          ),
        updateIfUnchanged: (key, { set = {}, remove }, expected, options) =>
          write({ kind: 'update', key, set, remove, expected }, options?.signal, () =>
            identities.updateIfUnchanged(key, { set, ...(remove && { remove }) }, expected, options),
          ),
      },
    },
  };
}
