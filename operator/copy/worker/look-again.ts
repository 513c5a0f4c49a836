import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { workThroughSegment } from '../../job/range-loop.ts';
import type { Segment } from '../ranges.ts';
import type { HandledPage, Page } from './page.ts';
import { nextOf, restOf } from './page-reader.ts';
import type { Result } from './totals.ts';

export interface LookOptions {
  readonly rangeId: number;
  readonly segments: readonly (Segment & { readonly environment: CoreEnvironment })[];
  /** As Core has it now. */
  readonly read: (
    environment: CoreEnvironment,
    segment: Segment,
    start: string | null,
  ) => Promise<Page & { readonly isLast: boolean }>;
  /** @param isFirst whether this is the first look at what was copied */
  readonly write: (page: Page, isFirst: boolean) => Promise<HandledPage>;
  /** Told that nothing of a page was done before it became too old. @throws once that has gone on for too long */
  readonly onHindrance: (hindrance: unknown) => void;
  /** Resolves when no write that was not answered can be carried out any more. */
  readonly settled: (signal: AbortSignal) => Promise<void>;
  /** So long after the last write its place may still be taken by one of another region. */
  readonly afterMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Looks at what was copied into tables of several regions once replication has settled, and writes again what later writes
 * of other regions have overtaken, until a look finds nothing of that kind (docs/design.md, "Convergence", rule 10). Where
 * all holds, documents are only read, a hundred at a time. It is over only when what it sent itself, and had no answer to,
 * has arrived (rule 9).
 *
 * @throws what reading and writing throw; the signal's reason
 */
export async function lookUntilItHolds(options: LookOptions, signal: AbortSignal): Promise<void> {
  const { rangeId, segments, clock, logger } = options;
  const settling = createLateWrites(clock, options.afterMs);
  for (let isFirst = true; ; isFirst = false) {
    settling.lost();
    await settling.settled(signal);
    let overtaken = 0;
    for (const segment of segments) overtaken += await lookAt(segment, isFirst, options);
    if (overtaken === 0) return options.settled(signal);
    logger.info({ rangeId, overtaken }, 'what writes of other regions had overtaken was written again');
  }
}

/** @returns how many identities were written again */
async function lookAt(
  { environment, ...segment }: LookOptions['segments'][number],
  isFirst: boolean,
  { read, write, onHindrance }: LookOptions,
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
