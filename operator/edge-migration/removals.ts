import { z } from 'zod';

/** What an applier process says that it has removed from the parking stream, or is about to. */
export interface RemovalFact {
  readonly process: string;
  readonly created: string;
  readonly removed: number;
  readonly pending: number;
  /** When that was stored, epoch milliseconds by the clock of NATS. */
  readonly time: number;
}

export interface RemovalLook {
  /** By the clock of NATS. */
  readonly now: number;
  /** When the parking stream was made. */
  readonly created: string;
  /** How many messages were removed from it since. */
  readonly removed: number;
  /** Read before that. */
  readonly told: readonly RemovalFact[];
  /** Whether all appliers tell: those of earlier releases do not. */
  readonly isComplete: boolean;
}

/** As it is written down for later processes. */
export const removalRecord = z.object({
  created: z.string(),
  /** Removed, and told by no process that is known now. */
  base: z.number(),
  /** Told by all processes. */
  told: z.number(),
});

/** Finds what was removed from the parking stream by others than the appliers. */
export interface RemovalCount {
  restore(record: z.infer<typeof removalRecord>): void;
  /** @returns whether others have removed something since the last time */
  notice(look: RemovalLook): boolean;
  /** What was lost is known already. */
  reset(): void;
  record(): z.infer<typeof removalRecord> | undefined;
}

/** Appliers tell before they remove, but NATS may answer from a replica that does not know yet. */
const PROOF_MILLISECONDS = 15_000;
/** A process that was about to remove something is dead after so long. */
const DEAD_MILLISECONDS = 60 * 60 * 1000;

/**
 * All that was removed was told before, or is from before it was counted. What is told may be too much, where a process died
 * before it removed anything or two wanted to remove the same: that is corrected when nothing is pending.
 */
export function createRemovalCount(): RemovalCount {
  /** Reports expire, but what they told was removed all the same. */
  const told = new Map<string, RemovalFact>();
  let known: { created: string; base: number; least: number } | undefined;
  let suspect: { removed: number; since: number } | undefined;

  const all = () => [...told.values()];
  const done = () => all().reduce((total, { removed }) => total + removed, 0);
  const sum = () => all().reduce((total, { pending }) => total + pending, done());

  function follow({ created, told: facts }: RemovalLook): void {
    for (const [process, fact] of told) if (fact.created !== created) told.delete(process);
    // What NATS has lost of the reports was told all the same.
    const isOlder = ({ process, removed }: RemovalFact) => removed < (told.get(process)?.removed ?? 0);
    for (const fact of facts) if (fact.created === created && !isOlder(fact)) told.set(fact.process, fact);
    // Told to the process before, and expired since.
    if (known !== undefined) known.base += Math.max(0, known.least - sum());
    if (known !== undefined) known.least = 0;
  }

  function isProven(removed: number, now: number): boolean {
    const accounted = known!.base + sum();
    if (suspect !== undefined && accounted >= suspect.removed) suspect = undefined;
    if (suspect === undefined && removed > accounted) suspect = { removed, since: now };
    return suspect !== undefined && now - suspect.since >= PROOF_MILLISECONDS;
  }

  return {
    restore({ created, base, told: least }) {
      known = { created, base, least };
    },
    notice(look) {
      const { now, created, removed, isComplete } = look;
      if (known?.created !== created) known = undefined;
      follow(look);
      const isBegin = known === undefined || !isComplete;
      known ??= { created, base: 0, least: 0 };
      const isLost = !isBegin && isProven(removed, now);
      const isQuiet = all().every(({ pending, time }) => pending === 0 || now - time > DEAD_MILLISECONDS);
      if (isBegin || isLost) {
        suspect = undefined;
        // What is pending may be among it or not.
        known.base = removed - done();
      } else if (isQuiet && suspect === undefined) known.base = removed - sum();
      return isLost;
    },
    reset() {
      known = undefined;
      suspect = undefined;
    },
    record: () => known && { created: known.created, base: known.base, told: sum() },
  };
}
