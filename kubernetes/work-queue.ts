import { type Backoff, doubled } from '@edge-migration/runtime/backoff.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { WORK_QUEUE, WORK_QUEUE_RATE } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import { runtimeMetrics } from './metrics.ts';
import { createTokenBucket } from './rate-limiter.ts';

/**
 * Keys of work to do, with client-go's semantics: a key waits once however often it is added; it is never in two hands
 * at a time; added while it is in hand, it waits again as soon as it is done. First come, first served.
 */
export interface WorkQueue {
  add(key: string): void;
  /** Adds the key later. Of several times the earliest counts. */
  addAfter(key: string, milliseconds: number): void;
  /** Adds the key after a delay that doubles with each call for it until {@link forget}, within an overall rate. */
  addRateLimited(key: string): void;
  /** The key succeeded: its next failure starts with the shortest delay again. */
  forget(key: string): void;
  /** How often the key was added by {@link addRateLimited} since it was forgotten. */
  retries(key: string): number;
  /** The next key, when there is one; undefined once the queue is shut down. Pair it with {@link done}. */
  take(): Promise<string | undefined>;
  done(key: string): void;
  /** Keys waiting now, without those that wait for their time. */
  readonly length: number;
  /**
   * Refuses new keys and ends delays; resolves when the last key in hand is done. Keys that wait are dropped, or with
   * `drain` still handed out.
   */
  shutDown(options?: { drain?: boolean }): Promise<void>;
}

export interface WorkQueueSettings {
  /** Label of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly registry?: Registry | undefined;
  /** Delays of {@link WorkQueue.addRateLimited} for one key. */
  readonly backoff?: Backoff | undefined;
  /** Limit on {@link WorkQueue.addRateLimited} over all keys. */
  readonly rate?: { perSecond: number; burst: number } | undefined;
}

export function createWorkQueue(settings: WorkQueueSettings): WorkQueue {
  const { name, clock, backoff = WORK_QUEUE } = settings;
  const metrics = runtimeMetrics(settings.registry);
  const bucket = createTokenBucket(clock, settings.rate ?? WORK_QUEUE_RATE);
  /** Key to the time since when; in order of arrival. */
  const waiting = new Map<string, number>();
  const inHand = new Map<string, number>();
  /** Added while in hand. */
  const again = new Set<string>();
  const delayed = new Map<string, { due: number; cancel: AbortController }>();
  const failures = new Map<string, number>();
  const takers: ((key: string | undefined) => void)[] = [];
  let open = true;
  const { promise: idle, resolve: becomeIdle } = Promise.withResolvers<void>();

  for (const counter of [metrics.queueAdds, metrics.queueRetries]) counter.inc({ name }, 0);
  for (const histogram of [metrics.queueSeconds, metrics.workSeconds]) histogram.zero({ name });
  metrics.queueDepth.set({ name }, 0);
  metrics.onScrape.add(measureWorkInProgress);
  measureWorkInProgress();

  function measureWorkInProgress() {
    const seconds = [...inHand.values()].map((since) => (clock.monotonic() - since) / 1000);
    metrics.unfinishedSeconds.set(
      { name },
      seconds.reduce((sum, each) => sum + each, 0),
    );
    metrics.longestSeconds.set({ name }, Math.max(0, ...seconds));
  }

  function add(key: string) {
    if (!open) return;
    // Also when it waits already: a delay that is over but still noted would stand for every later one.
    undelay(key);
    if (waiting.has(key) || again.has(key)) return;
    metrics.queueAdds.inc({ name });
    if (inHand.has(key)) again.add(key);
    else enqueue(key);
  }

  function enqueue(key: string) {
    waiting.set(key, clock.monotonic());
    metrics.queueDepth.set({ name }, waiting.size);
    takers.shift()?.(hand());
  }

  /** Moves the first waiting key into a hand. */
  function hand(): string | undefined {
    const [first] = waiting;
    if (first === undefined) return undefined;
    const [key, since] = first;
    const now = clock.monotonic();
    waiting.delete(key);
    inHand.set(key, now);
    metrics.queueDepth.set({ name }, waiting.size);
    metrics.queueSeconds.observe({ name }, (now - since) / 1000);
    return key;
  }

  function addAfter(key: string, milliseconds: number) {
    if (!open) return;
    if (milliseconds <= 0) return add(key);
    const due = clock.monotonic() + milliseconds;
    if ((delayed.get(key)?.due ?? Number.POSITIVE_INFINITY) <= due) return;
    undelay(key);
    const cancel = new AbortController();
    delayed.set(key, { due, cancel });
    clock.sleep(milliseconds, cancel.signal).then(
      () => add(key),
      () => {}, // cancelled
    );
  }

  function undelay(key: string) {
    delayed.get(key)?.cancel.abort();
    delayed.delete(key);
  }

  function settleIfIdle() {
    if (open || waiting.size > 0 || inHand.size > 0) return;
    for (const taker of takers.splice(0)) taker(undefined);
    metrics.onScrape.delete(measureWorkInProgress);
    becomeIdle();
  }

  return {
    add,
    addAfter,
    addRateLimited(key) {
      if (!open) return;
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      metrics.queueRetries.inc({ name });
      addAfter(key, Math.max(doubled(backoff, count), bucket.reserve()));
    },
    forget: (key) => void failures.delete(key),
    retries: (key) => failures.get(key) ?? 0,
    async take() {
      const key = hand();
      if (key !== undefined || !open) return key;
      return new Promise((resolve) => takers.push(resolve));
    },
    done(key) {
      const since = inHand.get(key);
      if (since === undefined) return;
      metrics.workSeconds.observe({ name }, (clock.monotonic() - since) / 1000);
      inHand.delete(key);
      if (again.delete(key)) enqueue(key);
      settleIfIdle();
    },
    get length() {
      return waiting.size;
    },
    shutDown({ drain = false } = {}) {
      open = false;
      for (const key of [...delayed.keys()]) undelay(key);
      if (!drain) {
        waiting.clear();
        again.clear();
        metrics.queueDepth.set({ name }, 0);
      }
      settleIfIdle();
      return idle;
    },
  };
}
