import type { Clock } from '../clock.ts';

export interface FakeClock extends Clock {
  /** Advances time and wakes, in order, all sleeps that are due; the work that they start runs before it returns. */
  advance(milliseconds: number): Promise<void>;
  /** Advances time and wakes nothing: the process was frozen. Due sleeps wake with the next `advance`. */
  freeze(milliseconds: number): void;
  /** Changes only the wall clock, as NTP, an administrator or another machine does. */
  skew(milliseconds: number): void;
  /** Resolves when at least `count` sleeps are pending. */
  sleepers(count: number): Promise<void>;
  /** The pending sleeps' remaining milliseconds, shortest first. */
  pending(): number[];
}

interface Sleeper {
  due: number;
  wake: () => void;
}

/** Runs promise callbacks, sockets on loopback and the work that they start. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that advances only on request. */
export function createFakeClock(start = Date.parse('2026-01-01T00:00:00Z')): FakeClock {
  let elapsed = 0;
  let offset = start;
  const sleeping = new Set<Sleeper>();
  const watchers = new Set<() => void>();

  return {
    now: () => elapsed + offset,
    monotonic: () => elapsed,

    sleep(milliseconds, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const end = () => {
          sleeping.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
        };
        const onAbort = () => {
          end();
          reject(signal?.reason);
        };
        const sleeper = {
          due: elapsed + milliseconds,
          wake: () => {
            end();
            resolve();
          },
        };
        sleeping.add(sleeper);
        signal?.addEventListener('abort', onAbort, { once: true });
        for (const watcher of watchers) watcher();
      });
    },

    async advance(milliseconds) {
      const end = elapsed + milliseconds;
      for (;;) {
        await settle();
        const next = [...sleeping].sort((a, b) => a.due - b.due)[0];
        if (next === undefined || next.due > end) break;
        elapsed = Math.max(elapsed, next.due);
        next.wake();
      }
      elapsed = end;
      await settle();
    },

    freeze(milliseconds) {
      elapsed += milliseconds;
    },

    skew(milliseconds) {
      offset += milliseconds;
    },

    sleepers(count) {
      return new Promise((resolve) => {
        const check = () => {
          if (sleeping.size < count) return;
          watchers.delete(check);
          resolve();
        };
        watchers.add(check);
        check();
      });
    },

    pending: () => [...sleeping].map(({ due }) => due - elapsed).sort((a, b) => a - b),
  };
}
