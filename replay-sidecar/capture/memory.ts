import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Returns unused memory to the system. */
export interface MemoryKeeper {
  /** At once, however long it takes: nothing waits for it before the first request. */
  collect(): void;
  /** After a burst, in a quiet moment; to be called every second or so. */
  tick(): void;
}

/** The heap of a process, and how busy the process is. */
export interface Heap {
  /** Collects all garbage from the heap and gives its pages back. */
  collect(): void;
  /** Bytes that the heap has from the system. */
  bytes(): number;
  /** Share of the time, 0 to 1, that the event loop was busy since the last call. */
  busyShare(): number;
}

/** Such a collection blocks the event loop for about a tenth of a second. It must be worth that, */
const WORTH_BYTES = 32 * 1024 * 1024;
/** it must not make anyone wait, */
const QUIET_SHARE = 0.2;
/** and a client that causes burst after burst must not trigger one after each. */
const PAUSE_MS = 60_000;

/**
 * V8 collects when it allocates: an idle process keeps the garbage of its last burst, and the pages that it once grew
 * to, for as long as it lives. Only a "last resort" collection gives those back, which only `gc()` triggers; without
 * `--expose-gc` nothing happens.
 */
export function createMemoryKeeper(clock: Clock, heap: Heap): MemoryKeeper {
  let needed = heap.bytes();
  let notBefore = Number.NEGATIVE_INFINITY;

  function run(): void {
    heap.collect();
    needed = heap.bytes();
  }

  return {
    collect: run,
    tick() {
      const isQuiet = heap.busyShare() < QUIET_SHARE;
      const spare = heap.bytes() - needed;
      if (!isQuiet || spare < WORTH_BYTES || clock.monotonic() < notBefore) return;
      notBefore = clock.monotonic() + PAUSE_MS;
      run();
    },
  };
}

/** The heap of this process. */
export function createProcessHeap(): Heap {
  let last = performance.eventLoopUtilization();
  return {
    collect() {
      globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
    },
    bytes: () => getHeapStatistics().total_heap_size,
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
  };
}
