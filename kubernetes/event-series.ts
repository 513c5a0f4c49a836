import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { KubernetesObject } from './client.ts';
import { createTokenBucket, type TokenBucket } from './rate-limiter.ts';

/** A repeated event: its API object, and the count that the API server already has. */
export interface Series {
  readonly subject: string;
  readonly object: KubernetesObject;
  count: number;
  lastObserved: number;
  sentCount: number;
  sentAt: number;
}

/** KEP-383: a series ends when nothing was added to it for six minutes. */
export const SERIES_END_MS = 360_000;
const MOST_SERIES = 4_096;
/** Per object, like client-go's spam filter: a burst of 25, then one in five minutes. */
const RATE_PER_OBJECT = { perSecond: 1 / 300, burst: 25 };

/** The series that have not ended, by the identities of their events. */
export class AllSeries {
  private readonly clock: Clock;
  private readonly series = new Map<string, Series>();
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get(identity: string): Series | undefined {
    return this.series.get(identity);
  }

  /** Adds a repetition to its series; undefined if there is none that has not ended. */
  repeat(identity: string): Series | undefined {
    const now = this.clock.monotonic();
    const known = this.series.get(identity);
    if (known === undefined || now - known.lastObserved >= SERIES_END_MS) return undefined;
    known.count++;
    known.lastObserved = now;
    return known;
  }

  /** Whether there is room for another one, and its object has not had too many. */
  mayBegin(subject: string): boolean {
    const bucket = this.buckets.get(subject) ?? createTokenBucket(this.clock, RATE_PER_OBJECT);
    this.buckets.set(subject, bucket);
    return this.series.size < MOST_SERIES && bucket.tryTake();
  }

  begin(identity: string, subject: string, object: KubernetesObject): void {
    const times = { lastObserved: this.clock.monotonic(), sentAt: Number.NEGATIVE_INFINITY };
    this.series.set(identity, { subject, object, count: 1, sentCount: 0, ...times });
  }

  end(identity: string, { subject }: Series): void {
    this.series.delete(identity);
    if (![...this.series.values()].some((series) => series.subject === subject)) this.buckets.delete(subject);
  }

  /** Identities of those with repetitions that the API server does not have. */
  unsent(): string[] {
    return [...this.series].flatMap(([identity, { count, sentCount }]) => (count > sentCount ? identity : []));
  }
}
