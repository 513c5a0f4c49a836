import { randomUUID } from 'node:crypto';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { retryAfterOf } from '@edge-migration/runtime/failure.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { RECONCILE_MS } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import { abortable, whenAborted, withDeadline } from './deadline.ts';
import { ApiError, TerminalError } from './errors.ts';
import { type RuntimeMetrics, runtimeMetrics } from './metrics.ts';
import { parseObjectKey } from './objects.ts';
import type { Reflector } from './reflector.ts';
import { WorkQueue, type WorkQueueSettings } from './work-queue.ts';

export interface ReconcileContext {
  /** Aborted when the controller stops or loses leadership, or when the reconcile takes too long. */
  readonly signal: AbortSignal;
  /** Bound to the key and this reconcile's id. */
  readonly logger: Logger;
}

/** The result of a successful reconcile; nothing: done until something changes. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number | undefined;
}

/**
 * Changes the world to the desired state of the key's object, from any state. Gets only a key, never an event: it must
 * read the current state, and may be called any number of times. An error repeats it with back-off; a {@link
 * TerminalError} does not.
 */
export type Reconcile = (key: string, context: ReconcileContext) => Promise<ReconcileResult | undefined>;

/** A source of keys. */
export interface Source {
  readonly synced: Promise<void>;
  /** All present keys. */
  keys(): Iterable<string>;
  /** Calls back with each key that changes; returns a function that stops this. */
  subscribe(add: (key: string) => void): () => void;
}

/** The keys of the cached objects, including unreadable ones. */
export function sourceOf<T>(reflector: Reflector<T>): Source {
  return {
    synced: reflector.synced,
    keys: () => reflector.keys(),
    subscribe: (add) => reflector.subscribe(({ key }) => add(key)),
  };
}

/** Keys of other objects that a cached object affects, such as its owner's; before and after a change. */
export function mappedSourceOf<T>(reflector: Reflector<T>, keysOf: (object: T) => Iterable<string>): Source {
  return {
    synced: reflector.synced,
    keys: () => reflector.list().flatMap((object) => [...keysOf(object)]),
    subscribe: (add) =>
      reflector.subscribe((change) => {
        const before = 'previous' in change ? change.previous : undefined;
        const after = change.type === 'added' || change.type === 'updated' ? change.object : undefined;
        for (const object of [before, after]) {
          for (const key of object === undefined ? [] : keysOf(object)) add(key);
        }
      }),
  };
}

export interface Controller {
  /**
   * Waits until every source is synced, then reconciles until the signal aborts. Resolves when the last reconcile has
   * ended. Call it once.
   */
  run(signal: AbortSignal): Promise<void>;
}

export interface ControllerSettings {
  /** Label of metrics and logs. */
  readonly name: string;
  readonly sources: readonly Source[];
  readonly reconcile: Reconcile;
  readonly workers?: number | undefined;
  /** Limit of one reconcile, after which its signal aborts. */
  readonly timeoutMs?: number | undefined;
  readonly queue?: Pick<WorkQueueSettings, 'backoff' | 'rate'> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry | undefined;
}

type Outcome =
  | { readonly type: 'success' }
  | { readonly type: 'requeue_after'; readonly afterMs: number }
  | { readonly type: 'error'; readonly error: unknown }
  | { readonly type: 'terminal'; readonly error: TerminalError }
  | { readonly type: 'stopped' };

/** Changes become keys, keys wait in a queue, workers reconcile them; one key is processed by one worker at a time. */
export function createController(settings: ControllerSettings): Controller {
  const { name, sources, clock, workers = 1, timeoutMs = RECONCILE_MS } = settings;
  const logger = settings.logger.child({ controller: name });
  const metrics = controllerMetrics(runtimeMetrics(settings.registry), name, workers);
  const queue = new WorkQueue({ ...settings.queue, name, clock, registry: settings.registry });

  async function attempt(key: string, logger: Logger, signal: AbortSignal): Promise<Outcome> {
    try {
      const result = await withDeadline(clock, timeoutMs, signal, (deadline) =>
        settings.reconcile(key, { signal: deadline.signal, logger }),
      );
      const afterMs = result?.requeueAfterMs;
      return afterMs === undefined ? { type: 'success' } : { type: 'requeue_after', afterMs };
    } catch (error) {
      if (signal.aborted) return { type: 'stopped' };
      return error instanceof TerminalError ? { type: 'terminal', error } : { type: 'error', error };
    }
  }

  /** The one place that decides what follows a reconcile. */
  function settle(key: string, outcome: Outcome, logger: Logger) {
    metrics.count(outcome);
    switch (outcome.type) {
      case 'success':
        return queue.forget(key);
      case 'requeue_after':
        queue.forget(key);
        return queue.addAfter(key, outcome.afterMs);
      case 'terminal':
        logger.error({ error: errorMessage(outcome.error) }, 'reconcile failed permanently');
        return queue.forget(key);
      case 'error':
        logFailure(logger, outcome.error);
        return queue.addRateLimited(key, retryAfterOf(outcome.error));
      case 'stopped':
        return;
    }
  }

  async function work(signal: AbortSignal) {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      const keyLogger = logger.child({ ...parseObjectKey(key), reconcileId: randomUUID() });
      const stop = metrics.begin();
      const outcome = await attempt(key, keyLogger, signal);
      stop();
      settle(key, outcome, keyLogger);
      queue.done(key);
    }
  }

  return {
    async run(signal) {
      const unsubscribe = sources.map((source) => source.subscribe((key) => queue.add(key)));
      try {
        await abortable(Promise.all(sources.map((source) => source.synced)), signal);
        for (const source of sources) for (const key of source.keys()) queue.add(key);
        logger.info({ workers, keys: queue.length }, 'caches are synced, reconciling');
        void whenAborted(signal).then(() => queue.shutDown());
        await Promise.all(Array.from({ length: workers }, () => work(signal)));
        logger.info('stopped');
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        for (const each of unsubscribe) each();
        await queue.shutDown();
      }
    },
  };
}

/** A conflict is a race that the next attempt decides; the others need attention. */
function logFailure(logger: Logger, error: unknown) {
  if (isPanic(error)) logger.error({ err: error }, 'reconcile failed because of a programming error; retrying');
  else if (error instanceof ApiError && error.disposition === 'conflict') {
    logger.debug({ error: error.message }, 'reconcile had a conflict; retrying');
  } else logger.warn({ error: errorMessage(error) }, 'reconcile failed; retrying');
}

/** The equivalent of a panic in Go: a programming error rather than an external failure. */
function isPanic(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  const isAssertion = 'code' in error && error.code === 'ERR_ASSERTION';
  return isAssertion || [TypeError, RangeError, ReferenceError].some((type) => error instanceof type);
}

/** The controller's metrics, with a zero for every series, so that a rate is known from the first failure on. */
function controllerMetrics(metrics: RuntimeMetrics, controller: string, workers: number) {
  for (const result of ['success', 'requeue_after', 'error']) metrics.reconciles.inc({ controller, result }, 0);
  const { reconcileErrors, terminalErrors, reconcilePanics } = metrics;
  for (const counter of [reconcileErrors, terminalErrors, reconcilePanics]) counter.inc({ controller }, 0);
  metrics.reconcileSeconds.zero({ controller });
  metrics.activeWorkers.set({ controller }, 0);
  metrics.maxWorkers.set({ controller }, workers);
  return {
    begin() {
      metrics.activeWorkers.inc({ controller });
      const observe = metrics.reconcileSeconds.startTimer({ controller });
      return () => {
        observe();
        metrics.activeWorkers.dec({ controller });
      };
    },
    count(outcome: Outcome) {
      if (outcome.type === 'stopped') return;
      const failed = outcome.type === 'error' || outcome.type === 'terminal';
      metrics.reconciles.inc({ controller, result: failed ? 'error' : outcome.type });
      if (failed) reconcileErrors.inc({ controller });
      if (outcome.type === 'terminal') terminalErrors.inc({ controller });
      if (outcome.type === 'error' && isPanic(outcome.error)) reconcilePanics.inc({ controller });
    },
  };
}
