import { type Backoff, doubled } from '@edge-migration/runtime/backoff.ts';
import { type Clock, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { LIST_WATCH, LIST_WATCH_HEALTHY_MS } from '@edge-migration/runtime/policies.ts';
import type { KubernetesClient, Selector } from './client.ts';
import { ApiError, GoneError, TooManyRequestsError, UnreachableError } from './errors.ts';
import type { RuntimeMetrics } from './metrics.ts';
import type { KubernetesObject, Resource } from './objects.ts';
import type { WatchEvent } from './watch-stream.ts';

export interface Timings {
  /** A complete list is read again after this time, whatever the watch brings: it may have lost something. */
  readonly relistMs: number;
  /** A watch that is silent for so long is dead. The API server sends a bookmark about once a minute. */
  readonly inactivityMs: number;
  /** The API server is asked to end each watch after a time between these, so that watches spread over its replicas. */
  readonly watchSeconds: { readonly shortest: number; readonly longest: number };
  readonly backoff: Backoff;
  /** After a watch that lived so long the next failure is the first one again. */
  readonly healthyMs: number;
  /** {@link ListWatch.refresh} lists at most once in this time. */
  readonly refreshMs: number;
}

export const DEFAULT_TIMINGS: Timings = {
  relistMs: 600_000,
  inactivityMs: 150_000,
  watchSeconds: { shortest: 240, longest: 480 },
  backoff: LIST_WATCH,
  healthyMs: LIST_WATCH_HEALTHY_MS,
  refreshMs: 1_000,
};

export interface ListWatchSettings extends Timings {
  readonly client: KubernetesClient;
  readonly resource: Resource;
  readonly selector: Selector;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: RuntimeMetrics;
  onList(objects: readonly KubernetesObject[]): void;
  /**
   * Told before a list that takes the place of a watch, because its version was lost or a list is due: what came and went
   * in so many milliseconds until now is in neither.
   */
  onBlind?(milliseconds: number): void;
  onEvent(event: WatchEvent): void;
}

export interface ListWatch {
  /** Until the signal aborts; never rejects and never gives up. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when a consistent list that began after this call is complete. */
  refresh(): Promise<void>;
  /** When the last complete list was begun, in monotonic milliseconds. */
  listedAt(): number;
  /** When the API server was last heard; before that, when this was made. */
  heardAt(): Moment;
}

/** Ends a watch because a list is wanted. */
const REFRESH = new Error('a refresh is wanted');

/**
 * The one loop behind a cache: list, watch from there, and again for ever. Every failure is retried: with the last seen
 * version after a broken connection, with a new list after anything that casts doubt on it.
 */
export function createListWatch(settings: ListWatchSettings): ListWatch {
  const { client, resource, selector, clock, random, logger, metrics } = settings;
  const labels = { resource: resource.plural };
  /** Where the next watch starts; undefined: list first. */
  let version: string | undefined;
  let listedAt = Number.NEGATIVE_INFINITY;
  let heardAt = momentOf(clock);
  let relistAt = 0;
  let failures = 0;
  let failing = false;
  let listsBegun = 0;
  let waiting: { listsBegun: number; resolve: () => void }[] = [];
  let watch: AbortController | undefined;

  async function list(signal: AbortSignal) {
    const begun = clock.monotonic();
    const number = ++listsBegun;
    const result = await client.list(resource, selector, { signal }).catch((error: unknown) => {
      metrics.lists.inc({ ...labels, result: 'error' });
      throw error;
    });
    metrics.lists.inc({ ...labels, result: 'success' });
    // A watch that ended well has just been heard; one that broke has not, and is not gone on with when a list is due.
    const isReplaced = version === undefined || begun >= relistAt;
    if (isReplaced && listedAt > Number.NEGATIVE_INFINITY) settings.onBlind?.(mostSince(clock, heardAt));
    settings.onList(result.items);
    version = result.resourceVersion;
    listedAt = begun;
    relistAt = begun + settings.relistMs;
    noteAlive();
    for (const each of waiting) if (each.listsBegun < number) each.resolve();
    waiting = waiting.filter((each) => each.listsBegun >= number);
  }

  function noteAlive() {
    heardAt = momentOf(clock);
    if (failing) logger.info({ resource: resource.plural }, 'the API server answers again');
    failing = false;
  }

  async function readWatch(from: string, signal: AbortSignal) {
    const untilRelist = Math.max(1, Math.ceil((relistAt - clock.monotonic()) / 1000));
    const { shortest, longest } = settings.watchSeconds;
    const timeoutSeconds = Math.min(untilRelist, Math.round(shortest + random() * (longest - shortest)));
    const query = { ...selector, resourceVersion: from, timeoutSeconds };
    const { inactivityMs } = settings;
    for await (const event of client.watch(resource, query, { inactivityMs, signal })) {
      metrics.watchEvents.inc({ ...labels, type: event.type });
      noteAlive();
      if (event.type !== 'BOOKMARK') settings.onEvent(event);
      version = event.object.metadata.resourceVersion ?? version;
      if (clock.monotonic() >= relistAt) return;
    }
    noteAlive();
    metrics.watches.inc({ ...labels, end: 'server' });
  }

  /** A watch until it ends, for whatever reason; then the loop goes on with a list or another watch. */
  async function follow(from: string, signal: AbortSignal) {
    watch = new AbortController();
    const begun = clock.monotonic();
    const lived = () => clock.monotonic() - begun;
    try {
      await readWatch(from, AbortSignal.any([signal, watch.signal])).finally(() => {
        if (lived() >= settings.healthyMs) failures = 0;
      });
      // A server or proxy that ends every watch at once must not be asked again at once.
      if (lived() < 1_000 && version === from) await backOff(signal);
    } catch (error) {
      if (signal.aborted || error === REFRESH) return;
      metrics.watches.inc({ ...labels, end: endOf(error) });
      // Only these leave no doubt that the version is still good; etcd restored from a backup answers with others.
      if (!(error instanceof UnreachableError || error instanceof TooManyRequestsError)) version = undefined;
      // The version ages away on a quiet resource: no fault to wait for, the first time.
      if (error instanceof GoneError && failures++ === 0) return;
      throw error;
    } finally {
      watch = undefined;
    }
  }

  async function backOff(signal: AbortSignal) {
    const delayMs = random() * doubled(settings.backoff, failures++);
    await clock.sleep(delayMs, signal);
  }

  /** Lists, but no more often than once per `refreshMs` when only refreshes ask for it. */
  async function listIfDue(signal: AbortSignal) {
    if (version === undefined || clock.monotonic() >= relistAt) return list(signal);
    if (waiting.length === 0) return;
    const waitMs = listedAt + settings.refreshMs - clock.monotonic();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    await list(signal);
  }

  async function step(signal: AbortSignal) {
    try {
      await listIfDue(signal);
      signal.throwIfAborted();
      if (waiting.length === 0 && version !== undefined) await follow(version, signal);
    } catch (error) {
      if (signal.aborted) return;
      const level = failing ? 'debug' : 'warn';
      failing = true;
      logger[level](
        { resource: resource.plural, error: errorMessage(error) },
        'listing or watching failed, trying again',
      );
      await backOff(signal).catch(() => {}); // aborted: the loop ends
    }
  }

  return {
    async run(signal) {
      while (!signal.aborted) await step(signal);
    },
    refresh() {
      return new Promise((resolve) => {
        waiting.push({ listsBegun, resolve });
        watch?.abort(REFRESH);
      });
    },
    listedAt: () => listedAt,
    heardAt: () => heardAt,
  };
}

function endOf(error: unknown): string {
  if (error instanceof GoneError) return 'expired';
  return error instanceof ApiError ? error.reason : 'error';
}
