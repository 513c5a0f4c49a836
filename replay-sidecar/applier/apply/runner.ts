import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { Admission } from '../admit/admission.ts';
import type { Work } from '../consume/delivery.ts';
import type { EventRetry } from '../event-retry.ts';
import type { ProjectAborts } from '../schedule/project-aborts.ts';
import type { ProjectRateLimiter } from '../schedule/project-rate-limiter.ts';
import type { Parking } from '../settle/parking.ts';
import type { NextPage } from './derived-events.ts';
import { createEndings } from './endings.ts';
import { createFanOutRunner } from './fan-out-runner.ts';
import { createIdentityRunner } from './identity-runner.ts';
import { createRechecks, type RecheckOptions } from './rechecks.ts';
import type { Repeats } from './repeats.ts';

export interface EventRunnerOptions extends RecheckOptions {
  stores: Stores;
  aborts: Pick<ProjectAborts, 'of'>;
  rateLimiter: Pick<ProjectRateLimiter, 'charge'>;
  admission: Pick<Admission, 'admit' | 'park' | 'revisit'>;
  parking: Pick<Parking, 'isListed' | 'wake'>;
  eventRetry: EventRetry;
  repeats: Repeats;
  /** Resolves when the stream has the derived event. */
  publish(projectId: number, event: WriteEvent, page?: NextPage): Promise<void>;
  /** What is remembered of an environment, by id or key, is out of date. */
  forget(environmentId: number): void;
  /** A document was written. */
  wrote(key: string): void;
  /** Whether the stream of events is long: then nothing is added to it. */
  isBusy(): boolean;
  /** Receives how late an event was applied, in milliseconds; not for rechecks, whose events were applied before. */
  onApplied(projectId: number, lagMs: number): void;
  logger: Logger;
  signal: AbortSignal;
}

/** Applies admitted events: everything in flight for one document together, or one page of a fan-out. */
export function createRunner(options: EventRunnerOptions) {
  const rechecks = createRechecks(options);
  const endings = createEndings(options);
  const applyToIdentity = createIdentityRunner(options, rechecks, endings);
  const { fanOut, spread } = createFanOutRunner(options, rechecks, endings);

  return {
    async apply(projectId: number, all: readonly Work[]): Promise<void> {
      const { works, copying } = options.admission.admit(all);
      const newest = works.at(-1);
      if (newest === undefined) return;
      try {
        const stop = options.aborts.of(projectId);
        if (newest.resolution.kind === 'identity') await applyToIdentity(projectId, works, copying, stop);
        else await fanOut(projectId, newest, copying, stop);
      } catch (error) {
        if (options.signal.aborted) return;
        for (const work of works.filter(({ held }) => held.isOpen())) endings.settleFailure(projectId, work, error);
      }
    },
    spread,
  };
}
