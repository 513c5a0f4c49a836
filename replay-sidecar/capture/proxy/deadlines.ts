import type { Clock } from '@edge-migration/runtime/clock.ts';
import { DEADLINES_TICK_MS } from '@edge-migration/runtime/policies.ts';

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /**
   * Calls `expire` once, `milliseconds` from now or up to one tick later, unless cancelled before. While the process is
   * frozen, or too busy, time stands still: the awaited event may have come without a chance to be noticed.
   */
  set(milliseconds: number, expire: () => void): Timer;
  /** Forgets all deadlines, including any set from now on. */
  stop(): void;
}

/** A tick that took longer counts as this. */
const LONGEST_TICK_MS = 4 * DEADLINES_TICK_MS;

/**
 * Deadlines that almost never expire, at a fraction of a microsecond each: all of one length stand in one queue in
 * order of expiry, and one tick checks the heads of the queues.
 *
 * @param onError receives an expiry's exception, which concerns that one alone; by default thrown where nothing catches
 * it
 */
export function createDeadlines(clock: Clock, onError: (error: unknown) => void = throwLater): Timers {
  const queues = new Map<number, Set<Entry>>();
  const stopping = new AbortController();
  let ticking = false;
  /** Time that the process had run for by the last tick, and when that was. */
  let lived = 0;
  let lastTick = 0;

  const livedAt = (time: number) => lived + Math.min(time - lastTick, LONGEST_TICK_MS);

  function expire(entry: Entry): void {
    try {
      entry.expire();
    } catch (error) {
      onError(error);
    }
  }

  async function tick(): Promise<void> {
    while (!stopping.signal.aborted && queues.size > 0) {
      await clock.sleep(DEADLINES_TICK_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      const time = clock.monotonic();
      lived = livedAt(time);
      lastTick = time;
      for (const [length, queue] of queues) {
        for (const entry of queue) {
          if (entry.at > lived) break;
          queue.delete(entry);
          expire(entry);
        }
        if (queue.size === 0) queues.delete(length);
      }
    }
  }

  function startTicking(): void {
    if (ticking || stopping.signal.aborted) return;
    ticking = true;
    lastTick = clock.monotonic();
    tick().then(
      () => {
        ticking = false;
        if (queues.size > 0) startTicking();
      },
      (error: unknown) => {
        if (!stopping.signal.aborted) throw error;
      },
    );
  }

  return {
    set(milliseconds, expire) {
      let queue = queues.get(milliseconds);
      if (queue === undefined) {
        queue = new Set();
        queues.set(milliseconds, queue);
      }
      startTicking();
      const entry = new Entry(queue, livedAt(clock.monotonic()) + milliseconds, expire);
      queue.add(entry);
      return entry;
    },
    stop() {
      stopping.abort();
      queues.clear();
    },
  };
}

function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

class Entry implements Timer {
  readonly at: number;
  readonly expire: () => void;
  private readonly queue: Set<Entry>;

  constructor(queue: Set<Entry>, at: number, expire: () => void) {
    this.queue = queue;
    this.at = at;
    this.expire = expire;
  }

  cancel(): void {
    this.queue.delete(this);
  }
}
