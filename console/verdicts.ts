import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Authorization results of callers, cached for a short time. Pending requests are shared; failed ones are repeated. */
export interface Verdicts {
  /** @param question about this caller */
  get(caller: string, question: string, ask: () => Promise<boolean>): Promise<boolean>;
}

export interface VerdictSettings {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** 0 to 1. */
  readonly random?: () => number;
  /** For all callers, some hundred bytes each. */
  readonly mostVerdicts?: number;
}

/** A right that was taken away still counts for this long, */
export const SHORTEST_MS = 5_000;
/** or for up to this long, where the caller's requests need hundreds of rights. */
export const LONGEST_MS = 60_000;
/** Added for each verdict that a caller needs: about ten are requested per second, however many there are. */
const EACH_MS = 100;
const MOST_VERDICTS = 50_000;

interface Entry {
  readonly verdict: Promise<boolean>;
  readonly askedAt: number;
  /** Half to all of a lifetime, so that results that were requested together do not expire together. */
  readonly share: number;
}

/** Results whose lifetime depends on how many of them a caller needs. */
export function createVerdicts(settings: VerdictSettings): Verdicts {
  const { clock, random = Math.random, mostVerdicts = MOST_VERDICTS } = settings;
  /** Both maps are ordered by the last use, oldest first. */
  const callers = new Map<string, Map<string, Entry>>();
  let size = 0;

  /** This caller's results, without expired ones. */
  function entriesOf(caller: string, now: number): Map<string, Entry> {
    const entries = callers.get(caller) ?? new Map<string, Entry>();
    callers.delete(caller);
    callers.set(caller, entries);
    for (const [question, { askedAt }] of entries) {
      if (now - askedAt < LONGEST_MS) break;
      remove(entries, question);
    }
    return entries;
  }

  function remove(entries: Map<string, Entry>, question: string): void {
    if (entries.delete(question)) size -= 1;
  }

  function makeRoom(): void {
    for (const [caller, entries] of callers) {
      for (const question of entries.keys()) {
        if (size < mostVerdicts) return;
        remove(entries, question);
      }
      callers.delete(caller);
    }
  }

  return {
    get(caller, question, ask) {
      const now = clock.monotonic();
      const entries = entriesOf(caller, now);
      const known = entries.get(question);
      const life = Math.min(LONGEST_MS, entries.size * EACH_MS);
      if (known !== undefined && now - known.askedAt < Math.max(SHORTEST_MS, life * known.share)) return known.verdict;
      remove(entries, question);
      if (size >= mostVerdicts) makeRoom();
      const entry = { verdict: ask(), askedAt: now, share: 0.5 + random() / 2 };
      callers.set(caller, entries);
      entries.set(question, entry);
      size += 1;
      entry.verdict.catch(() => {
        if (entries.get(question) === entry) remove(entries, question);
        if (entries.size === 0 && callers.get(caller) === entries) callers.delete(caller);
      });
      return entry.verdict;
    },
  };
}
