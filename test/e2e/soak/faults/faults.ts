import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import type { Installation } from '../../installation.ts';
import type { Random } from '../random.ts';
import type { Kind, Targets } from './targets.ts';

/** How long a frozen process stays frozen, in seconds; the others' timeouts for it lie within that range. */
export interface Timeouts {
  /** Time after which messages in an applier's hand are redelivered. */
  readonly ackWaitSeconds: number;
  /** Time after which the other operator takes over. */
  readonly leaseSeconds: number;
  /** Time after which a page in a copy pod's hand must not be written. */
  readonly pageMaxAgeSeconds: number;
}

/** One way to break something other than a process. */
export interface Fault {
  /** Name in reports. */
  readonly name: string;
  /** Its target; of each, one is broken at a time. Processes have their own names, `nats` is the server's. */
  readonly subject: string;
  /** Relative to those of processes, which add up to 28. */
  readonly weight: number;
  /**
   * Breaks it and repairs it.
   *
   * @param share from 0 to 1, of the longest time that it may be broken
   */
  run(share: number): Promise<void>;
}

/** A fault that occurred. */
export interface Occurrence {
  /** For example `kill applier`. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

export interface Faults {
  /** Breaks something every few seconds until the signal aborts, except while paused; returns when all is repaired. */
  run(signal: AbortSignal, isPaused?: () => boolean): Promise<void>;
  /** In the order in which they ended. */
  readonly occurrences: readonly Occurrence[];
}

type Action = 'kill' | 'freeze';

const CHOICES: readonly (readonly [weight: number, choice: readonly [Kind, Action]])[] = [
  [4, ['applier', 'kill']],
  [3, ['applier', 'freeze']],
  [3, ['sidecar', 'kill']],
  [3, ['sidecar', 'freeze']],
  [1, ['api', 'kill']],
  [2, ['operator', 'kill']],
  [2, ['operator', 'freeze']],
  [4, ['copy', 'kill']],
  [4, ['copy', 'freeze']],
  [2, ['nats', 'kill']],
  [2, ['nats', 'freeze']],
];

export interface FaultsOptions {
  readonly random: Random;
  readonly timeouts: Timeouts;
  /** Time between two faults. */
  readonly pauseSeconds: readonly [number, number];
  /** In addition to those of processes. */
  readonly others?: readonly Fault[];
  /** Called with each occurrence. */
  readonly say: (text: string) => void;
  readonly clock?: Clock;
}

/** Breaks parts of the installation at random, several at a time, but none that is already broken. */
export function createFaults(installation: Installation, targets: Targets, options: FaultsOptions): Faults {
  const { random, timeouts, pauseSeconds, others = [], say, clock = systemClock } = options;
  const { nats } = installation.cluster;
  const { broken, choose } = targets;
  const choices: (readonly [weight: number, choice: readonly [Kind, Action] | Fault])[] = [
    ...CHOICES,
    ...others.map((fault) => [fault.weight, fault] as const),
  ];
  const occurrences: Occurrence[] = [];
  const seconds = (from: number, to: number) => 1000 * (from + random.next() * (to - from));

  const frozenMs: Record<Kind, () => number> = {
    applier: () => seconds(1, timeouts.ackWaitSeconds * 2.5),
    sidecar: () => seconds(1, 12),
    api: () => seconds(1, 3),
    operator: () => seconds(1, timeouts.leaseSeconds * 2),
    copy: () => seconds(timeouts.pageMaxAgeSeconds / 2, timeouts.pageMaxAgeSeconds * 1.6),
    nats: () => seconds(0.5, 8),
  };

  async function breakOne(): Promise<void> {
    const choice = random.weighted(choices);
    if ('run' in choice) await breakPart(choice, random.next());
    else await breakProcess(...choice);
  }

  async function breakPart(fault: Fault, share: number): Promise<void> {
    if (broken.has(fault.subject)) return;
    broken.add(fault.subject);
    const from = clock.now();
    try {
      say(fault.name);
      await fault.run(share);
      note(fault.name, from);
    } finally {
      broken.delete(fault.subject);
    }
  }

  const note = (name: string, from: number) => void occurrences.push({ name, from, until: clock.now() });

  async function breakProcess(kind: Kind, action: Action): Promise<void> {
    const millis = frozenMs[kind]();
    const target = await choose(kind);
    if (target === undefined) return;
    broken.add(target.name);
    const from = clock.now();
    try {
      await target.signal(action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      // Kubernetes restarts the container; NATS does not concern it here.
      if (action === 'freeze' || kind === 'nats') await clock.sleep(millis);
      if (action === 'freeze') await target.signal('SIGCONT');
      else if (kind === 'nats') await nats.restart();
      note(`${action} ${kind}`, from);
    } catch (error) {
      // It ended meanwhile: a completed copy, or a container between two runs.
      if (!(error instanceof Error) || !error.message.endsWith('does not run')) throw error;
    } finally {
      broken.delete(target.name);
    }
  }

  return {
    occurrences,
    async run(signal, isPaused = () => false) {
      const underWay = new Set<Promise<void>>();
      while (!signal.aborted) {
        if (!isPaused()) {
          const one = breakOne().finally(() => underWay.delete(one));
          underWay.add(one);
        }
        await clock.sleep(seconds(...pauseSeconds), signal).catch(() => {});
      }
      await Promise.all(underWay);
    },
  };
}
