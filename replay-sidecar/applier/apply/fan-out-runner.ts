import { HAND_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import { type Delivery, derivedId, type Work } from '../consume/delivery.ts';
import type { Spread } from '../resolve/spread.ts';
import { followersOf, nextPage } from './derived-events.ts';
import type { Endings } from './endings.ts';
import { readFanOutPage } from './fan-out.ts';
import type { Rechecks } from './rechecks.ts';
import type { EventRunnerOptions } from './runner.ts';

/** Splits events that concern many into events of one identity or one project each. */
export function createFanOutRunner(options: EventRunnerOptions, rechecks: Rechecks, endings: Endings) {
  const { admission: pipeline, counts, repeats, publish, now, logger } = options;

  /** Pages are not repeated themselves: the event that they come from is. */
  const nextFanOut = ({ event, observed, cursor }: Work) =>
    cursor === undefined ? repeats.next(event, observed, now()) : undefined;

  return {
    /** One page of an event about an environment or a project. */
    async fanOut(projectId: number, work: Work, copying: boolean, stop: AbortSignal): Promise<void> {
      if (options.isBusy()) {
        work.held.nak(HAND_AGAIN_MS);
        return;
      }
      const round = repeats.round(work.event, work.observed, now());
      const page = await options.eventRetry.run(async () => {
        if (rechecks.pauseForHome(work) !== undefined) return undefined;
        return readFanOutPage(options.stores, work, round, stop).catch(endings.rethrow(projectId));
      }, stop);
      // Also for the region it was read from: that may already have been another one.
      const pauseMs = rechecks.pauseForHome(work);
      if (page === undefined || pauseMs !== undefined) {
        rechecks.laterElsewhere(projectId, work, pauseMs ?? HAND_AGAIN_MS);
        return;
      }
      const events = [...followersOf(work), ...page.events];
      const isPublished = await endings.tryToPublish(projectId, [work], events, async () => {
        // Published after its page: the process that takes the next one may rely on it.
        if (page.next !== undefined)
          await publish(projectId, { ...work.event, outcome: 'known' }, nextPage(work, page.next));
      });
      if (!isPublished) return;
      counts.of(projectId).fannedOut += 1;
      // What the copy is still writing is in no listing yet (docs/design.md, "Convergence", rule 3).
      const isHeld = copying && work.resolution.kind === 'environment' && work.cursor === undefined;
      if (isHeld) pipeline.park(work, projectId, 'copying');
      else endings.finish(projectId, work, nextFanOut(work));
    },

    /** The parts of an event that spans several projects. Each is checked for an EdgeMigration when it comes. */
    async spread(delivery: Delivery, { parts, projectId = 0 }: Spread): Promise<void> {
      const { event, observed, held } = delivery;
      if (options.isBusy()) {
        held.nak(HAND_AGAIN_MS);
        return;
      }
      const round = repeats.round(event, observed, now());
      try {
        await Promise.all(
          parts.map(({ projectId: project, target, touched }) => {
            const id = derivedId(event.id, round, JSON.stringify(target));
            return publish(project, { ...event, id, target, touched, outcome: 'known' });
          }),
        );
        endings.finish(projectId, delivery, repeats.next(event, observed, now()));
      } catch (error) {
        logger.warn({ err: error, eventId: event.id }, 'the pages of an event cannot be published; retrying');
        held.nak(HAND_AGAIN_MS);
      }
    },
  };
}
