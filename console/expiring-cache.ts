import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Caches results for a short time. Pending requests are shared; failed ones are repeated. */
export interface ExpiringCache<T> {
  get(key: string, ask: () => Promise<T>): Promise<T>;
}

export interface CacheLimits {
  readonly lifeMs: number;
  /** Maximum number of answers; the oldest is evicted. */
  readonly mostEntries: number;
}

export function createExpiringCache<T>(
  clock: Pick<Clock, 'monotonic'>,
  { lifeMs, mostEntries }: CacheLimits,
): ExpiringCache<T> {
  const entries = new Map<string, { readonly answer: Promise<T>; readonly until: number }>();

  return {
    get(key, ask) {
      const known = entries.get(key);
      if (known !== undefined && known.until > clock.monotonic()) return known.answer;
      // Last in the map's order, whose first entry is the oldest.
      entries.delete(key);
      const oldest = entries.keys().next();
      if (entries.size >= mostEntries && !oldest.done) entries.delete(oldest.value);
      const entry = { answer: ask(), until: clock.monotonic() + lifeMs };
      entries.set(key, entry);
      entry.answer.catch(() => {
        if (entries.get(key) === entry) entries.delete(key);
      });
      return entry.answer;
    },
  };
}
