import { type BatcherOptions, createBatcher } from '@edge-migration/runtime/batcher.ts';
import { type Convergence, converge, type Fence, type Stores, type Subject } from './converge.ts';
import { ResultTooLargeError } from './core/errors.ts';
import type { KeyedPlace } from './core/keyed-identities.ts';
import { itemBytes } from './edge/document/size.ts';
import type { Touched } from './edge/merge.ts';
import {
  type EdgeCallOptions,
  GET_BATCH,
  INSERT_BATCH,
  ResponseTooLargeError,
  type SharedWrite,
  type WriteResult,
} from './edge/table/table.ts';
import type { DocumentWrite } from './edge/table/writes.ts';
import { createConcurrencyLimit } from './lane.ts';

/** Parallel loads of each kind: the next one fills while these run. */
const PARALLEL = 2;
/** Bytes of an identity, on either side, above which it is not converged together with a hundred others. */
const LARGE_BYTES = 64 * 1024;
/** Bytes of the documents of one load. */
const MOST_BYTES = 4 * 2 ** 20;
/** Large identities processed in parallel. */
const LARGE_PARALLEL = 2;

/** Stores for many identities, and a way for those that are too large for it. */
export interface SharedStores extends Stores {
  /**
   * Runs `work` with stores of its own, two at a time, so that large identities are never all in memory together.
   * Environments take turns.
   */
  alone<T>(environmentId: number, work: (stores: Stores) => Promise<T>): Promise<T>;
}

/** This identity has to be converged alone. Work done until then is detected as done, and nothing is done twice. */
class TooLargeToShareError extends Error {
  override readonly name = 'TooLargeToShareError';
}

/**
 * Converges one of many identities; a large one by itself.
 *
 * @throws as {@link converge}
 */
export async function convergeShared(
  stores: Stores | SharedStores,
  subject: Subject,
  touched: Touched,
  signal: AbortSignal,
  fence?: Fence,
): Promise<Convergence> {
  try {
    return await converge(stores, subject, touched, signal, fence);
  } catch (error) {
    if (!(error instanceof TooLargeToShareError && 'alone' in stores)) throw error;
    return stores.alone(subject.environment.id, (own) => converge(own, subject, touched, signal, fence));
  }
}

/**
 * Stores shared by many identities that are converged at the same time: their reads and single writes are combined in
 * calls for many.
 *
 * The protocol is unchanged (docs/design.md, "Convergence"). Each identity keeps its own loop, and each of its reads is
 * answered by a call that begins after the request, so it sees what a slightly later call of its own could have seen.
 * Each write is conditional by itself, and is done alone when the combined answer leaves a doubt.
 *
 * @param options `signal` ends all calls; `isOutage` identifies errors that no single identity can have caused
 */
export function shareStores(
  stores: Stores,
  { signal, isOutage }: { signal: AbortSignal; isOutage(error: unknown): boolean },
): SharedStores {
  const { core, edge } = stores;
  const { identities } = edge;
  const reading: BatcherOptions = {
    most: GET_BATCH,
    parallel: PARALLEL,
    isolates: (error) =>
      error instanceof ResultTooLargeError || error instanceof ResponseTooLargeError || !isOutage(error),
  };
  const rows = createBatcher((places: readonly KeyedPlace[]) => core.identities.keyedMany(places, signal), reading);
  const documents = createBatcher(async (keys: readonly string[]) => {
    const found = await identities.getMany(keys, { signal, mostBytes: MOST_BYTES });
    return keys.map((key) => found.get(key));
  }, reading);
  const writes = createBatcher((all: readonly SharedWrite[]) => identities.writeMany(all, { signal }), {
    most: INSERT_BATCH,
    parallel: PARALLEL,
  });
  let count = 0;

  async function write(
    document: DocumentWrite,
    { signal: own, deadline, lost }: EdgeCallOptions = {},
    alone: () => Promise<WriteResult>,
  ): Promise<WriteResult> {
    own?.throwIfAborted();
    const result = await writes.ask(String(count++), { write: document, signal: own, deadline, lost });
    own?.throwIfAborted();
    if (result === 'unclear') return alone();
    return result === 'written' ? result : { changed: undefined };
  }

  const lane = createConcurrencyLimit(LARGE_PARALLEL);

  return {
    ...stores,
    alone: (environmentId, work) => lane.run(environmentId, () => work(stores)),
    core: {
      ...core,
      identities: {
        ...core.identities,
        async keyed(place) {
          const found = await rows.ask(JSON.stringify([place.environmentId, place.apiKey, place.identifier]), place);
          if (found.size > LARGE_BYTES) throw new TooLargeToShareError();
          return found;
        },
      },
    },
    edge: {
      ...edge,
      identities: {
        ...identities,
        async get(key) {
          const document = await documents.ask(key, key);
          if (document !== undefined && itemBytes(document) > LARGE_BYTES) throw new TooLargeToShareError();
          return document;
        },
        putIfUnchanged: (item, expected, options) =>
          write({ kind: 'put', item, expected }, options, () => identities.putIfUnchanged(item, expected, options)),
        updateIfUnchanged: (key, { set = {}, remove }, expected, options) =>
          write({ kind: 'update', key, set, remove, expected }, options, () =>
            identities.updateIfUnchanged(key, { set, ...(remove && { remove }) }, expected, options),
          ),
      },
    },
  };
}
