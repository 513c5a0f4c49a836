import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { DeadlinePassedError } from '@edge-migration/identity/edge/table/table.ts';
import { HAND_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import type { Delivery, Work } from '../consume/delivery.ts';
import { MigrationStoppedError } from '../schedule/project-aborts.ts';
import type { EventRunnerOptions } from './runner.ts';

/** The longest an event may hold up the stream; a little more than until most are handled for the second time. */
const MOST_WAIT_MS = 70_000;

/** Settles events after they were worked on. */
export function createEndings({ admission: pipeline, counts, publish, now, logger }: EventRunnerOptions) {
  return {
    /**
     * Finished, unless it is to be handled again. If that is minutes away, it is parked under its project: in the
     * stream it would keep all projects from knowing that what was published before them is applied.
     */
    finish(projectId: number, { held, began }: Pick<Delivery, 'held' | 'began'>, next: number | undefined): void {
      if (next === undefined) held.ack();
      else if (next - now() <= MOST_WAIT_MS) held.nak(next - now());
      else pipeline.park({ held, began }, projectId, 'repeat', { due: Math.ceil(next / 1000) });
    },

    /**
     * @param more published after the events
     * @returns false: the stream is full or unreachable, which says nothing about the works; they come again
     */
    async tryToPublish(
      projectId: number,
      works: readonly Work[],
      events: readonly WriteEvent[],
      more = async () => {},
    ): Promise<boolean> {
      try {
        await Promise.all(events.map((event) => publish(projectId, event)));
        await more();
        return true;
      } catch (error) {
        logger.warn({ err: error, projectId }, 'the derived events of an event cannot be published; retrying');
        for (const { held } of works) held.nak(HAND_AGAIN_MS);
        return false;
      }
    },

    /** Stopped midway, or no longer ours: judged again when it comes back. Otherwise it failed repeatedly. */
    settleFailure(projectId: number, work: Work, error: unknown): void {
      if (error instanceof MigrationStoppedError || error instanceof DeadlinePassedError) {
        work.held.nak(1);
        return;
      }
      logger.error({ err: error, projectId, eventId: work.event.id }, 'an event cannot be applied; parked it');
      const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      pipeline.park(work, projectId, 'poison', { detail });
    },

    /** Counts a failure that may be retried. */
    rethrow: (projectId: number) => {
      return (error: unknown): never => {
        counts.of(projectId).failed += 1;
        throw error;
      };
    },
  };
}

export type Endings = ReturnType<typeof createEndings>;
