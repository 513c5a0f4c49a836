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
  /** A complete list is read again after this time, even with a working watch: it may have missed something. */
  readonly relistMs: number;
  /** A watch that is silent for this long is dead. The API server sends a bookmark about once a minute. */
  readonly inactivityMs: number;
  /** The API server is asked to end each watch after a time between these, so that watches spread over its replicas. */
  readonly watchSeconds: { readonly shortest: number; readonly longest: number };
  readonly backoff: Backoff;
  /** After a watch that lived this long the next failure counts as the first. */
  readonly healthyMs: number;
  /** {@link ListWatch.refresh} lists at most once per this time. */
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
   * Called before a list that replaces a watch, because its version was lost or a list is due: changes within this many
   * milliseconds until now may be missing from both.
   */
  onBlind?(milliseconds: number): void;
  onEvent(event: WatchEvent): void;
}

/** Ends a watch because a list is wanted. */
const REFRESH = new Error('refresh requested');

interface Waiting {
  readonly listsBegun: number;
  readonly resolve: () => void;
}

/**
 * The loop behind a cache: list, watch from there, repeat. Every failure is retried: with the last seen version after a
 * broken connection, with a new list after anything that makes it doubtful.
 */
export class ListWatch {
  private readonly settings: ListWatchSettings;
  /** Where the next watch starts; undefined: list first. */
  private version: string | undefined;
  private lastList = Number.NEGATIVE_INFINITY;
  private lastHeard: Moment;
  private relistAt = 0;
  private failures = 0;
  private isFailing = false;
  private listsBegun = 0;
  private waiting: Waiting[] = [];
  private watch: AbortController | undefined;

  constructor(settings: ListWatchSettings) {
    this.settings = settings;
    this.lastHeard = momentOf(settings.clock);
  }

  /** When the last complete list was begun, in monotonic milliseconds. */
  listedAt(): number {
    return this.lastList;
  }

  /** When the API server was last heard from; initially, when this was created. */
  heardAt(): Moment {
    return this.lastHeard;
  }

  /** Until the signal aborts; never rejects and never gives up. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.step(signal);
  }

  /** Resolves when a consistent list that began after this call is complete. */
  refresh(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push({ listsBegun: this.listsBegun, resolve });
      this.watch?.abort(REFRESH);
    });
  }

  private async step(signal: AbortSignal): Promise<void> {
    const { logger, resource } = this.settings;
    try {
      await this.listIfDue(signal);
      signal.throwIfAborted();
      if (this.waiting.length === 0 && this.version !== undefined) await this.follow(this.version, signal);
    } catch (error) {
      if (signal.aborted) return;
      const level = this.isFailing ? 'debug' : 'warn';
      this.isFailing = true;
      logger[level](
        { resource: resource.plural, error: errorMessage(error) },
        'listing or watching failed, trying again',
      );
      await this.backOff(signal).catch(() => {}); // aborted: the loop ends
    }
  }

  /** Lists, but no more often than once per `refreshMs` when only refreshes ask for it. */
  private async listIfDue(signal: AbortSignal): Promise<void> {
    const { clock, refreshMs } = this.settings;
    if (this.version === undefined || clock.monotonic() >= this.relistAt) return this.list(signal);
    if (this.waiting.length === 0) return;
    const waitMs = this.lastList + refreshMs - clock.monotonic();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    await this.list(signal);
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { client, resource, selector, clock, metrics, relistMs } = this.settings;
    const labels = { resource: resource.plural };
    const begun = clock.monotonic();
    const number = ++this.listsBegun;
    const result = await client.list(resource, selector, { signal }).catch((error: unknown) => {
      metrics.lists.inc({ ...labels, result: 'error' });
      throw error;
    });
    metrics.lists.inc({ ...labels, result: 'success' });
    // A watch that ended well has just received something; one that broke has not, and is not resumed if a list is due.
    const isReplaced = this.version === undefined || begun >= this.relistAt;
    if (isReplaced && this.lastList > Number.NEGATIVE_INFINITY)
      this.settings.onBlind?.(mostSince(clock, this.lastHeard));
    this.settings.onList(result.items);
    this.version = result.resourceVersion;
    this.lastList = begun;
    this.relistAt = begun + relistMs;
    this.noteAlive();
    for (const each of this.waiting) if (each.listsBegun < number) each.resolve();
    this.waiting = this.waiting.filter((each) => each.listsBegun >= number);
  }

  /** A watch until it ends, for any reason; then the loop goes on with a list or another watch. */
  private async follow(from: string, signal: AbortSignal): Promise<void> {
    const { clock, healthyMs, resource, metrics } = this.settings;
    const watch = new AbortController();
    this.watch = watch;
    const begun = clock.monotonic();
    const lived = () => clock.monotonic() - begun;
    try {
      await this.readWatch(from, AbortSignal.any([signal, watch.signal])).finally(() => {
        if (lived() >= healthyMs) this.failures = 0;
      });
      // A server or proxy that ends every watch at once must not be asked again at once.
      if (lived() < 1_000 && this.version === from) await this.backOff(signal);
    } catch (error) {
      if (signal.aborted || error === REFRESH) return;
      metrics.watches.inc({ resource: resource.plural, end: endOf(error) });
      // Only these leave no doubt that the version is still good; etcd restored from a backup answers with others.
      if (!(error instanceof UnreachableError || error instanceof TooManyRequestsError)) this.version = undefined;
      // The version becomes outdated on a quiet resource: the first time this is no fault to wait for.
      if (error instanceof GoneError && this.failures++ === 0) return;
      throw error;
    } finally {
      this.watch = undefined;
    }
  }

  private async readWatch(from: string, signal: AbortSignal): Promise<void> {
    const { client, resource, selector, clock, random, metrics, inactivityMs, watchSeconds } = this.settings;
    const labels = { resource: resource.plural };
    const untilRelist = Math.max(1, Math.ceil((this.relistAt - clock.monotonic()) / 1000));
    const { shortest, longest } = watchSeconds;
    const timeoutSeconds = Math.min(untilRelist, Math.round(shortest + random() * (longest - shortest)));
    const query = { ...selector, resourceVersion: from, timeoutSeconds };
    for await (const event of client.watch(resource, query, { inactivityMs, signal })) {
      metrics.watchEvents.inc({ ...labels, type: event.type });
      this.noteAlive();
      if (event.type !== 'BOOKMARK') this.settings.onEvent(event);
      this.version = event.object.metadata.resourceVersion ?? this.version;
      if (clock.monotonic() >= this.relistAt) return;
    }
    this.noteAlive();
    metrics.watches.inc({ ...labels, end: 'server' });
  }

  private noteAlive(): void {
    const { clock, logger, resource } = this.settings;
    this.lastHeard = momentOf(clock);
    if (this.isFailing) logger.info({ resource: resource.plural }, 'the API server answers again');
    this.isFailing = false;
  }

  private async backOff(signal: AbortSignal): Promise<void> {
    const { clock, random, backoff } = this.settings;
    await clock.sleep(random() * doubled(backoff, this.failures++), signal);
  }
}

function endOf(error: unknown): string {
  if (error instanceof GoneError) return 'expired';
  return error instanceof ApiError ? error.reason : 'error';
}
