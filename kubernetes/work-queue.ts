import { type Backoff, doubled } from '@edge-migration/runtime/backoff.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { WORK_QUEUE, WORK_QUEUE_RATE } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import { type RuntimeMetrics, runtimeMetrics } from './metrics.ts';
import { createTokenBucket, type TokenBucket } from './rate-limiter.ts';

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

/**
 * Keys of work to do, with client-go's semantics: a key waits once however often it is added; it is never processed
 * twice at a time; if added while it is processed, it waits again once it is done. First come, first served.
 */
export class WorkQueue {
  private readonly name: string;
  private readonly clock: Clock;
  private readonly backoff: Backoff;
  private readonly metrics: RuntimeMetrics;
  private readonly bucket: TokenBucket;
  /** Key to the time since which it waits; in order of arrival. */
  private readonly waiting = new Map<string, number>();
  private readonly inHand = new Map<string, number>();
  /** Added while being processed. */
  private readonly again = new Set<string>();
  private readonly delayed = new Map<string, { due: number; cancel: AbortController }>();
  private readonly failures = new Map<string, number>();
  private readonly takers: ((key: string | undefined) => void)[] = [];
  private readonly idle = Promise.withResolvers<void>();
  private isOpen = true;
  private readonly measure = () => this.measureWorkInProgress();

  constructor({ name, clock, registry, backoff = WORK_QUEUE, rate = WORK_QUEUE_RATE }: WorkQueueSettings) {
    const metrics = runtimeMetrics(registry);
    this.name = name;
    this.clock = clock;
    this.backoff = backoff;
    this.metrics = metrics;
    this.bucket = createTokenBucket(clock, rate);
    for (const counter of [metrics.queueAdds, metrics.queueRetries]) counter.inc({ name }, 0);
    for (const histogram of [metrics.queueSeconds, metrics.workSeconds]) histogram.zero({ name });
    metrics.queueDepth.set({ name }, 0);
    metrics.onScrape.add(this.measure);
    this.measure();
  }

  /** Keys waiting now, without those whose time has not come. */
  get length(): number {
    return this.waiting.size;
  }

  add(key: string): void {
    if (!this.isOpen) return;
    // Even when it already waits: a delay that is over but still recorded would stand for every later one.
    this.undelay(key);
    if (this.waiting.has(key) || this.again.has(key)) return;
    this.metrics.queueAdds.inc({ name: this.name });
    if (this.inHand.has(key)) this.again.add(key);
    else this.enqueue(key);
  }

  /** Adds the key later. Of several times the earliest counts. */
  addAfter(key: string, milliseconds: number): void {
    const { clock, delayed } = this;
    if (!this.isOpen) return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const due = clock.monotonic() + milliseconds;
    if ((delayed.get(key)?.due ?? Number.POSITIVE_INFINITY) <= due) return;
    this.undelay(key);
    const cancel = new AbortController();
    delayed.set(key, { due, cancel });
    clock.sleep(milliseconds, cancel.signal).then(
      () => this.add(key),
      () => {}, // cancelled
    );
  }

  /**
   * Adds the key after a delay that doubles with each call for it until {@link forget}, within an overall rate.
   *
   * @param askedMs the wait that the other side has asked for. It never shortens the delay, nor exceeds the longest:
   *   one answer of a proxy must not stop a key for hours, or have it retried endlessly
   */
  addRateLimited(key: string, askedMs = 0): void {
    if (!this.isOpen) return;
    const count = this.retries(key);
    this.failures.set(key, count + 1);
    this.metrics.queueRetries.inc({ name: this.name });
    const asked = Math.min(askedMs, this.backoff.longestMs);
    this.addAfter(key, Math.max(doubled(this.backoff, count), this.bucket.reserve(), asked));
  }

  /** The key succeeded: its next failure starts with the shortest delay again. */
  forget(key: string): void {
    this.failures.delete(key);
  }

  /** How often the key was added by {@link addRateLimited} since it was forgotten. */
  retries(key: string): number {
    return this.failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined once the queue is shut down. Pair it with {@link done}. */
  async take(): Promise<string | undefined> {
    const key = this.hand();
    if (key !== undefined || !this.isOpen) return key;
    return new Promise((resolve) => this.takers.push(resolve));
  }

  done(key: string): void {
    const since = this.inHand.get(key);
    if (since === undefined) return;
    this.metrics.workSeconds.observe({ name: this.name }, (this.clock.monotonic() - since) / 1000);
    this.inHand.delete(key);
    if (this.again.delete(key)) this.enqueue(key);
    this.settleIfIdle();
  }

  /**
   * Refuses new keys and ends delays; resolves when the last key being processed is done. Waiting keys are dropped, or
   * with `drain` still handed out.
   */
  shutDown({ drain = false }: { drain?: boolean } = {}): Promise<void> {
    this.isOpen = false;
    for (const key of [...this.delayed.keys()]) this.undelay(key);
    if (!drain) {
      this.waiting.clear();
      this.again.clear();
      this.metrics.queueDepth.set({ name: this.name }, 0);
    }
    this.settleIfIdle();
    return this.idle.promise;
  }

  private enqueue(key: string): void {
    this.waiting.set(key, this.clock.monotonic());
    this.metrics.queueDepth.set({ name: this.name }, this.waiting.size);
    this.takers.shift()?.(this.hand());
  }

  /** Starts processing the first waiting key. */
  private hand(): string | undefined {
    const { name, metrics, waiting, inHand } = this;
    const [first] = waiting;
    if (first === undefined) return undefined;
    const [key, since] = first;
    const now = this.clock.monotonic();
    waiting.delete(key);
    inHand.set(key, now);
    metrics.queueDepth.set({ name }, waiting.size);
    metrics.queueSeconds.observe({ name }, (now - since) / 1000);
    return key;
  }

  private undelay(key: string): void {
    this.delayed.get(key)?.cancel.abort();
    this.delayed.delete(key);
  }

  private settleIfIdle(): void {
    if (this.isOpen || this.waiting.size > 0 || this.inHand.size > 0) return;
    for (const taker of this.takers.splice(0)) taker(undefined);
    this.metrics.onScrape.delete(this.measure);
    this.idle.resolve();
  }

  private measureWorkInProgress(): void {
    const { name, metrics } = this;
    const seconds = [...this.inHand.values()].map((since) => (this.clock.monotonic() - since) / 1000);
    metrics.unfinishedSeconds.set(
      { name },
      seconds.reduce((sum, each) => sum + each, 0),
    );
    metrics.longestSeconds.set({ name }, Math.max(0, ...seconds));
  }
}
