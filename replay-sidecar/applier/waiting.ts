import type { Clock } from '@edge-migration/identity/clock.ts';
import { compositeKey } from '@edge-migration/identity/edge/document.ts';
import { createFairQueue, type FairQueue } from './fair-queue.ts';
import type { InHand } from './reporter.ts';
import type { Work } from './work.ts';

/** Events that are to be applied, by project. */
export interface Waiting extends Pick<FairQueue<Work>, 'stop'> {
  add(work: Work): void;
  /** Whether a project is slow by itself and has as many events in hand as it may then. */
  isFull(projectId: number): boolean;
  /** What waits, by project. */
  inHand(): Map<number, InHand>;
}

export interface WaitingOptions {
  readonly concurrency: number;
  readonly projectConcurrency: number;
  /** Events in hand at most. */
  readonly window: number;
}

/** A project whose events wait so long is slow by itself: it may have half of the window, no more. */
const SLOW_MILLIS = 30_000;

/** @param apply must not reject */
export function createWaiting(
  options: WaitingOptions,
  clock: Clock,
  apply: (projectId: number, works: readonly Work[]) => Promise<void>,
): Waiting {
  const works = new Set<Work>();
  /** How long what was applied last had waited. */
  const waits = new Map<number, number>();
  const limits = { overall: options.concurrency, perGroup: options.projectConcurrency };
  const queue = createFairQueue<Work>(limits, async (projectId, _, batch) => {
    for (const work of batch) works.delete(work);
    waits.set(projectId, clock.monotonic() - (batch[0]?.held.delivered ?? 0));
    await apply(projectId, batch);
  });

  return {
    stop: queue.stop,
    add(work) {
      works.add(work);
      queue.add(work.resolution.projectId, keyOf(work), work);
    },
    isFull: (projectId) => queue.sizeOf(projectId) > options.window / 2 && (waits.get(projectId) ?? 0) > SLOW_MILLIS,
    inHand() {
      const result = new Map<number, { events: number; oldestObserved: number }>();
      for (const { resolution, observed } of works) {
        const { events, oldestObserved } = result.get(resolution.projectId) ?? { events: 0, oldestObserved: observed };
        result.set(resolution.projectId, {
          events: events + 1,
          oldestObserved: Math.min(oldestObserved, observed),
        });
      }
      return result;
    },
  };
}

/** All events of one document are applied together; a page of a fan-out is by itself. */
function keyOf({ resolution, held }: Work): string {
  return resolution.kind === 'identity'
    ? `document ${compositeKey(resolution.environment.apiKey, resolution.identifier)}`
    : `wide ${held.message.seq}`;
}
