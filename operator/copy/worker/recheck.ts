import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { workThroughSegment } from '../../job/range-loop.ts';
import type { Segment } from '../ranges.ts';
import type { CopyPage, HandledPage } from './page.ts';
import { nextOf, restOf } from './page-reader.ts';
import type { Result } from './totals.ts';

export interface CopyRecheckOptions {
  readonly rangeId: number;
  readonly segments: readonly (Segment & { readonly environment: CoreEnvironment })[];
  /** Reads the present state of Core. */
  readonly read: (
    environment: CoreEnvironment,
    segment: Segment,
    start: string | null,
  ) => Promise<CopyPage & { readonly isLast: boolean }>;
  /** @param isFirst whether this is the first check of what was copied */
  readonly write: (page: CopyPage, isFirst: boolean) => Promise<HandledPage>;
  /** Called if a page became too old before any of it was done. @throws once that has lasted for too long */
  readonly onHindrance: (hindrance: unknown) => void;
  /** Resolves when no unanswered write can take effect any more. */
  readonly settled: (signal: AbortSignal) => Promise<void>;
  /** For this long after the last write, one of another region may still replace it. */
  readonly afterMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Checks what was copied into tables of several regions once replication has settled, and writes again what later
 * writes of other regions have overtaken, until a check finds none (docs/design.md, "Convergence", rule 10). Documents
 * that still hold are only read, a hundred at a time. It ends only when its own unanswered writes can no longer take
 * effect (rule 9).
 *
 * @throws errors of reading and writing; the signal's reason
 */
export async function recheckUntilStable(options: CopyRecheckOptions, signal: AbortSignal): Promise<void> {
  const { rangeId, segments, clock, logger } = options;
  const settling = createLateWrites(clock, options.afterMs);
  for (let isFirst = true; ; isFirst = false) {
    settling.lost();
    await settling.settled(signal);
    let overtaken = 0;
    for (const segment of segments) overtaken += await recheckSegment(segment, isFirst, options);
    if (overtaken === 0) return options.settled(signal);
    logger.info({ rangeId, overtaken }, 'wrote again what writes of other regions had overtaken');
  }
}

/** @returns the number of identities that were written again */
async function recheckSegment(
  { environment, ...segment }: CopyRecheckOptions['segments'][number],
  isFirst: boolean,
  { read, write, onHindrance }: CopyRecheckOptions,
): Promise<number> {
  let overtaken = 0;
  await workThroughSegment(
    {
      read: (start: string | null) => read(environment, segment, start),
      nextOf: (page) => nextOf(page, segment),
      async handle(page, start) {
        const { results, hindrance } = await write(page, isFirst);
        overtaken += results.filter(hasWritten).length;
        const { length: done } = results;
        if (done === page.identities.length) return undefined;
        if (done === 0) onHindrance(hindrance);
        return restOf(page, start, done, segment);
      },
    },
    null,
  );
  return overtaken;
}

const hasWritten = ({ outcome }: Result) => outcome === 'inserted' || outcome === 'merged' || outcome === 'replaced';
