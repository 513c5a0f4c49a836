import { z } from 'zod';

/** What an applier process reports to have removed from the parking stream, or to be about to remove. */
export interface RemovalFact {
  readonly process: string;
  readonly created: string;
  readonly removed: number;
  readonly pending: number;
  /** When the report was stored, epoch milliseconds by the clock of NATS. */
  readonly time: number;
}

export interface RemovalObservation {
  /** By the clock of NATS. */
  readonly now: number;
  /** When the parking stream was created. */
  readonly created: string;
  /** How many messages were removed since then. */
  readonly removed: number;
  /** Read earlier than `removed`. */
  readonly told: readonly RemovalFact[];
  /** Whether all appliers report removals: those of earlier releases do not. */
  readonly isComplete: boolean;
}

const tale = z.object({ removed: z.number(), pending: z.number(), time: z.number() });

/** The stored form for later processes. */
export const removalRecord = z.object({
  created: z.string(),
  /** Removed, but not reported in `told`. */
  base: z.number(),
  /** Reports until this time, and none later, are part of `base`. */
  folded: z.number(),
  /** By process; only of the last hour, so that they are few. */
  told: z.record(z.string(), tale),
});
type Known = Pick<z.infer<typeof removalRecord>, 'created' | 'base' | 'folded'>;

/** Finds removals from the parking stream by others than the appliers. */
export interface RemovalCount {
  restore(record: z.infer<typeof removalRecord>): void;
  /** @returns whether others have removed something since the last call */
  notice(observation: RemovalObservation): boolean;
  /** The losses so far are known already. */
  reset(): void;
  record(): z.infer<typeof removalRecord> | undefined;
}

/** Appliers report before they remove, but NATS may answer from a replica that is behind. */
const PROOF_MS = 15_000;
/** A process that has reported nothing for so long is dead; a living one reports again each time. */
const DEAD_MS = 60 * 60 * 1000;

/**
 * All removals were reported before, or precede the counting. Reports may claim too much, where a process died before
 * it removed anything or two wanted to remove the same: that is corrected when nothing is pending.
 */
export function createRemovalCount(): RemovalCount {
  const told = new Map<string, RemovalFact>();
  let known: Known | undefined;
  let suspect: { removed: number; since: number } | undefined;

  const all = () => [...told.values()];
  const done = () => all().reduce((total, { removed }) => total + removed, 0);
  const sum = () => all().reduce((total, { pending }) => total + pending, done());

  function follow({ now, created, told: facts }: RemovalObservation): Known {
    const current = known?.created === created ? known : { created, base: 0, folded: Number.NEGATIVE_INFINITY };
    for (const [process, fact] of told) if (fact.created !== created) told.delete(process);
    // Reports that NATS has lost still count.
    const isOlder = ({ process, removed }: RemovalFact) => removed < (told.get(process)?.removed ?? 0);
    const isFolded = ({ time }: RemovalFact) => time <= Math.min(current.folded, now - DEAD_MS);
    for (const fact of facts)
      if (fact.created === created && !isOlder(fact) && !isFolded(fact)) told.set(fact.process, fact);
    return fold(current, now);
  }

  /** Reports of dead processes expire, or are lost; what they reported was removed all the same. */
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
    notice(observation) {
      const { now, created, removed, isComplete } = observation;
      const isBegin = known?.created !== created || !isComplete;
      const current = follow(observation);
      const isLost = !isBegin && isProven(current.base + sum(), removed, now);
      const isQuiet = all().every(({ pending }) => pending === 0);
      known = current;
      if (isBegin || isLost) {
        suspect = undefined;
        // Pending removals may be included or not.
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
