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

const tale = z.object({ removed: z.number(), pending: z.number(), time: z.number() });

/** As it is written down for later processes. */
export const removalRecord = z.object({
  created: z.string(),
  /** Removed, and not told in `told`. */
  base: z.number(),
  /** What was told until this time, and not since, is part of `base`. */
  folded: z.number(),
  /** By process; of the last hour, so that they are few. */
  told: z.record(z.string(), tale),
});
type Known = Pick<z.infer<typeof removalRecord>, 'created' | 'base' | 'folded'>;

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
const PROOF_MS = 15_000;
/** A process that has told nothing for so long is dead; it tells again at each look. */
const DEAD_MS = 60 * 60 * 1000;

/**
 * All that was removed was told before, or is from before it was counted. What is told may be too much, where a process died
 * before it removed anything or two wanted to remove the same: that is corrected when nothing is pending.
 */
export function createRemovalCount(): RemovalCount {
  const told = new Map<string, RemovalFact>();
  let known: Known | undefined;
  let suspect: { removed: number; since: number } | undefined;

  const all = () => [...told.values()];
  const done = () => all().reduce((total, { removed }) => total + removed, 0);
  const sum = () => all().reduce((total, { pending }) => total + pending, done());

  function follow({ now, created, told: facts }: RemovalLook): Known {
    const current = known?.created === created ? known : { created, base: 0, folded: Number.NEGATIVE_INFINITY };
    for (const [process, fact] of told) if (fact.created !== created) told.delete(process);
    // What NATS has lost of the reports was told all the same.
    const isOlder = ({ process, removed }: RemovalFact) => removed < (told.get(process)?.removed ?? 0);
    const isFolded = ({ time }: RemovalFact) => time <= Math.min(current.folded, now - DEAD_MS);
    for (const fact of facts)
      if (fact.created === created && !isOlder(fact) && !isFolded(fact)) told.set(fact.process, fact);
    return fold(current, now);
  }

  /** The reports of processes that are gone expire, or are lost; what they told was removed all the same. */
  function fold(current: Known, now: number): Known {
    const folded = now - DEAD_MS;
    let { base } = current;
    for (const [process, { time, removed, pending }] of told) {
      if (time > folded) continue;
      base += removed + pending;
      told.delete(process);
    }
    return { ...current, base, folded };
  }

  function isProven(accounted: number, removed: number, now: number): boolean {
    if (suspect !== undefined && accounted >= suspect.removed) suspect = undefined;
    if (suspect === undefined && removed > accounted) suspect = { removed, since: now };
    return suspect !== undefined && now - suspect.since >= PROOF_MS;
  }

  return {
    restore({ told: tales, ...others }) {
      known = others;
      for (const [process, tale] of Object.entries(tales))
        told.set(process, { ...tale, process, created: others.created });
    },
    notice(look) {
      const { now, created, removed, isComplete } = look;
      const isBegin = known?.created !== created || !isComplete;
      const current = follow(look);
      const isLost = !isBegin && isProven(current.base + sum(), removed, now);
      const isQuiet = all().every(({ pending }) => pending === 0);
      known = current;
      if (isBegin || isLost) {
        suspect = undefined;
        // What is pending may be among it or not.
        known = { ...current, base: removed - done() };
      } else if (isQuiet && suspect === undefined) known = { ...current, base: removed - sum() };
      return isLost;
    },
    reset() {
      known = undefined;
      suspect = undefined;
    },
    record: () =>
      known && {
        ...known,
        told: Object.fromEntries(
          all().map(({ process, removed, pending, time }) => [process, { removed, pending, time }]),
        ),
      },
  };
}
