import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/**
 * The longest life of a write that no process waits for any more: it may be in the network, or in the kernel of the
 * machine that its process ran on, and is carried out when it arrives (docs/design.md, "Convergence", rule 9).
 *
 * Linux sends the remaining data of a killed process for the last time 255 times the retransmission timeout after the
 * first: 51 s where answers take a few milliseconds (net.ipv4.tcp_orphan_retries). An event is redelivered 20 s after
 * its holder's death at the earliest, and that is added.
 */
export const LATE_WRITE_SECONDS = 65;

/** Knows when earlier writes can no longer be carried out. */
export interface LateWrites {
  /** Records that a write sent before now is no longer waited for. */
  lost(): void;
  /** Resolves when none can arrive any more; at once where none was lost. Rejects with the signal's reason. */
  settled(signal: AbortSignal): Promise<void>;
}

/** @param longestMs how long a write may be on its way */
export function createLateWrites(clock: Clock, longestMs: number): LateWrites {
  let last: Moment | undefined;
  return {
    lost() {
      last = momentOf(clock);
    },
    async settled(signal) {
      while (last !== undefined) {
        const left = longestMs - leastSince(clock, last);
        if (left <= 0) return;
        await clock.sleep(left, signal);
      }
    },
  };
}
