import type { Clock } from '@edge-migration/runtime/clock.ts';

/** For how long the stream has been known to keep what it acknowledged. */
export interface Trust {
  /** The stream answered, on the connection and with the sequence numbers that were expected. */
  confirm(): void;
  /** It may have lost acknowledged events: the connection broke, an answer stayed away, sequence numbers came back. */
  doubt(): void;
  isTrusted(): boolean;
  /** Total milliseconds between pairs of answers without a doubt; stands still while there is none. */
  total(): number;
}

/** A process that was frozen, or a connection that is half open, has not seen what happened between two answers. */
const LONGEST_SILENCE_MS = 30_000;

export function createTrust(clock: Clock): Trust {
  let total = 0;
  let lastAnswer: number | undefined;
  return {
    confirm() {
      const now = clock.monotonic();
      if (lastAnswer !== undefined) total += Math.min(now - lastAnswer, LONGEST_SILENCE_MS);
      lastAnswer = now;
    },
    doubt() {
      lastAnswer = undefined;
    },
    isTrusted: () => lastAnswer !== undefined,
    total: () => total,
  };
}
