import type { Clock } from '@edge-migration/runtime/clock.ts';
import { APPLY_QUEUE_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { isRecheck, type Work } from '../consume/delivery.ts';
import { BYTES_PER_EVENT } from '../consume/in-flight.ts';
import type { InHand } from '../report/reporter.ts';
import { createFairQueue, type FairQueue } from './fair-queue.ts';
import type { ProjectRateLimiter } from './project-rate-limiter.ts';

/** Events that are to be applied, by project. */
export interface ApplyQueue extends Pick<FairQueue<Work>, 'stop'> {
  add(work: Work): void;
  /**
   * Whether a project has as many events in flight as it may while others may need room, or while it may not spend what
   * they cost: half of what the others leave. So however many projects are slow or flood the stream, there is room for
   * one more.
   */
  isFull(projectId: number): boolean;
  /** How many more events of the project may be in flight, at least; below zero when it is full. */
  roomFor(projectId: number): number;
  /** What waits or is being applied, by project. */
  inHand(): Map<number, InHand>;
  /** Starts what could not be started before. Rejects with the signal's reason. */
  run(signal: AbortSignal): Promise<never>;
}

export interface ApplyQueueOptions {
  readonly concurrency: number;
  readonly projectConcurrency: number;
  /** Most events in flight. */
  readonly window: number;
  readonly rateLimiter: Pick<ProjectRateLimiter, 'isOpen'>;
  /** Whether there are other projects at all. */
  isShared(): boolean;
  /** Must not reject. */
  apply(projectId: number, works: readonly Work[]): Promise<void>;
  readonly clock: Clock;
}

export function createApplyQueue(options: ApplyQueueOptions): ApplyQueue {
  const works = new Set<Work>();
  /** Events in flight by project, including running ones; large ones count as several. */
  const loads = new Map<number, number>();
  let total = 0;
  const limits = {
    overall: options.concurrency,
    perGroup: options.projectConcurrency,
    mayStart: options.rateLimiter.isOpen,
  };
  const queue = createFairQueue<Work>(limits, async (projectId, _, batch) => {
    await options.apply(projectId, batch);
    for (const work of batch) works.delete(work);
    weigh(projectId, -batch.reduce((sum, work) => sum + weightOf(work), 0));
  });

  function weigh(projectId: number, change: number): void {
    const load = (loads.get(projectId) ?? 0) + change;
    if (load > 0) loads.set(projectId, load);
    else loads.delete(projectId);
    total += change;
  }

  function roomFor(projectId: number): number {
    const load = loads.get(projectId) ?? 0;
    const room = (options.window - (total - load)) / 2 - load;
    if (room >= 0 || options.isShared() || !options.rateLimiter.isOpen(projectId)) return room;
    return options.window - total;
  }

  return {
    stop: queue.stop,
    roomFor,
    isFull: (projectId) => roomFor(projectId) < 0,
    add(work) {
      const { projectId } = work.resolution;
      works.add(work);
      weigh(projectId, weightOf(work));
      queue.add(projectId, keyOf(work), work);
    },
    inHand() {
      const result = new Map<number, InHand>();
      for (const work of works) {
        const { projectId } = work.resolution;
        const { events, oldestObserved = Number.POSITIVE_INFINITY } = result.get(projectId) ?? { events: 0 };
        const oldest = isApplied(work) ? oldestObserved : Math.min(oldestObserved, work.observed);
        result.set(projectId, { events: events + 1, oldestObserved: Number.isFinite(oldest) ? oldest : undefined });
      }
      return result;
    },
    async run(signal) {
      for (;;) {
        await options.clock.sleep(APPLY_QUEUE_POLL_MS, signal);
        queue.pump();
      }
    },
  };
}

/** It is rechecked, maybe hours later. An event that lists documents only waits as rechecks do. */
function isApplied({ held, resolution }: Work): boolean {
  return resolution.kind === 'identity' && isRecheck(held.message);
}

/** Whole numbers, so that sums come back to zero. */
function weightOf({ held }: Work): number {
  return Math.ceil(held.data.length / BYTES_PER_EVENT);
}

/**
 * All events of one identity are applied together; a page of a fan-out runs by itself. The document's key would not do:
 * identities of different environments may have the same one.
 */
function keyOf({ resolution, held }: Work): string {
  if (resolution.kind !== 'identity') return `wide ${held.message.seq}`;
  const { environment, isGone, identifier } = resolution;
  return JSON.stringify([environment.id, environment.apiKey, isGone, identifier]);
}
