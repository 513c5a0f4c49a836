import { type Clock, mostSince } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { Registry } from 'prom-client';
import type { KubernetesClient } from './client.ts';
import { abortable } from './deadline.ts';
import { DEFAULT_TIMINGS, ListWatch, type Timings } from './list-watch.ts';
import { runtimeMetrics } from './metrics.ts';
import type { KubernetesObject, Resource } from './objects.ts';
import { createStore, type Indexes, type ObjectChange, type Store } from './store.ts';

export type { ObjectChange } from './store.ts';

/** A cache of one kind of object that follows the API server. */
export interface Reflector<T> extends Pick<Store<T>, 'get' | 'list' | 'keys' | 'byIndex'> {
  readonly resource: Resource;
  /** Follows the API server until the signal is aborted. Never rejects: every failure is retried. Call it once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when everything has been listed once; before that, an object that is not found may exist. */
  readonly synced: Promise<void>;
  /** Calls back with every change after it is in the cache; returns a function that stops this. */
  subscribe(listener: (change: ObjectChange<T>) => void): () => void;
  /**
   * Resolves when the cache holds a consistent list that began after this call. However many ask, lists are at least
   * `refreshMs` apart. Rejects with the signal's reason.
   */
  refresh(signal: AbortSignal): Promise<void>;
  /** Milliseconds since the oldest part of the cache was last listed completely (since that list began), or Infinity. */
  listedAge(): number;
  /**
   * Milliseconds since the API server last sent anything for the quietest part: a list, an event, a bookmark. Before
   * the first one, since the start. The longer of both clocks' measurements: the monotonic clock stops in a suspended
   * machine.
   */
  confirmedAge(): number;
}

export interface ReflectorSettings<T> {
  readonly client: KubernetesClient;
  readonly resource: Resource;
  /** Parses an object; an error makes only this object `unreadable`. */
  readonly parse: (object: KubernetesObject) => T;
  /** Absent or empty: all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly indexes?: Indexes<T> | undefined;
  /**
   * Called, before the cache changes, when objects may have been created and deleted unnoticed in this many
   * milliseconds until now.
   */
  readonly onBlind?: ((milliseconds: number) => void) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry | undefined;
  readonly timings?: Partial<Timings> | undefined;
  readonly random?: (() => number) | undefined;
}

export function createReflector<T>(settings: ReflectorSettings<T>): Reflector<T> {
  const { client, resource, clock, logger, namespaces = [], random = Math.random } = settings;
  const metrics = runtimeMetrics(settings.registry);
  const labels = { resource: resource.plural };
  const store = createStore(settings.parse, settings.indexes);
  for (const result of ['success', 'error']) metrics.lists.inc({ ...labels, result }, 0);
  metrics.parseFailures.inc(labels, 0);
  const listeners = new Set<(change: ObjectChange<T>) => void>();
  const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
  const unlisted = new Set(scopes);
  const { promise: synced, resolve: becomeSynced } = Promise.withResolvers<void>();

  const loops = scopes.map(
    (namespace) =>
      new ListWatch({
        ...DEFAULT_TIMINGS,
        ...settings.timings,
        client,
        resource,
        selector: { namespace, labelSelector: settings.labelSelector, fieldSelector: settings.fieldSelector },
        clock,
        random,
        logger,
        metrics,
        onList(objects) {
          publish(store.replace(namespace, objects));
          unlisted.delete(namespace);
          if (unlisted.size === 0) becomeSynced();
        },
        ...(settings.onBlind && { onBlind: settings.onBlind }),
        onEvent: ({ type, object }) => publish(type === 'DELETED' ? store.remove(object) : store.put(object)),
      }),
  );

  function publish(changes: readonly ObjectChange<T>[]) {
    metrics.cachedObjects.set(labels, store.size);
    for (const change of changes) {
      if (change.type === 'unreadable') noteUnreadable(change.key, change.error);
      for (const listener of listeners) notify(listener, change);
    }
  }

  function noteUnreadable(key: string, error: unknown) {
    metrics.parseFailures.inc(labels);
    logger.warn({ resource: resource.plural, key, error: errorMessage(error) }, 'an object cannot be read');
  }

  /** A listener's error must affect neither the other listeners nor the loop. */
  function notify(listener: (change: ObjectChange<T>) => void, change: ObjectChange<T>) {
    try {
      listener(change);
    } catch (error) {
      logger.error({ resource: resource.plural, key: change.key, error }, 'a listener failed');
    }
  }

  const confirmedAge = () => Math.max(...loops.map((loop) => mostSince(clock, loop.heardAt())));

  return {
    resource,
    get: store.get,
    list: store.list,
    keys: store.keys,
    byIndex: store.byIndex,
    synced,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async refresh(signal) {
      await abortable(Promise.all(loops.map((loop) => loop.refresh())), signal);
    },
    listedAge: () => clock.monotonic() - Math.min(...loops.map((loop) => loop.listedAt())),
    confirmedAge,
    async run(signal) {
      const measure = () => metrics.cacheAge.set(labels, confirmedAge() / 1000);
      metrics.onScrape.add(measure);
      await Promise.all(loops.map((loop) => loop.run(signal)));
      metrics.onScrape.delete(measure);
    },
  };
}
