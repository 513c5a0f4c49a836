import { CoreTimeoutError } from '@edge-migration/identity/core/errors.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import type { LiveSettings } from '../../edge-migration/facts.ts';
import { createRetryContext, createRetrying } from '../../job/failure.ts';
import { type PageWork, type SegmentPlace, workThrough } from '../../job/range-loop.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { Range, Segment } from '../ranges.ts';
import { createCompleteness } from './completeness.ts';
import { createFailingSince, type FailingSince } from './failing-since.ts';
import type { HandlePage } from './page.ts';
import { createCopyPageReader, type FetchedPage, nextOf, restOf } from './page-reader.ts';
import { createPageSizer } from './page-size.ts';
import { identityMark, type StartPosition } from './position.ts';
import { type CopyProgressOptions, openCopyProgress } from './progress.ts';
import { recheckUntilStable } from './recheck.ts';

export interface CopyOptions
  extends RangeOptions<Range, LiveSettings, Checkpoint>,
    Pick<CopyProgressOptions, 'onSkipped'> {
  /** Writes a page, or only determines what that would do. */
  readonly handlePage: HandlePage;
  readonly pageMaxAgeMs: number;
  /**
   * For tables on which a write is not final: how long after the last one the written documents are checked again, and
   * the function for that.
   */
  readonly recheck?: { readonly afterMs: number; readonly handlePage: HandlePage } | undefined;
}

/**
 * Copies one range, page by page, starting at its checkpoint, which moves after every page, so that a killed worker
 * repeats at most one. The next page is read while one is written. The range is finished only when no unanswered
 * insert, its own or a previous worker's, can take effect any more (docs/design.md, "Convergence", rule 9), and on a
 * table of several regions only when a check has found everything that it wrote still there (rule 10).
 *
 * @returns the last checkpoint, which says `finished`
 * @throws errors of the stores and of the checkpoints once the retry budget is spent; WorkerError if fewer identities
 *   were read than Core has; the signal's reason
 */
export async function copyRange(options: CopyOptions, signal: AbortSignal): Promise<Checkpoint> {
  const { stores, project, range, settings, logger } = options;
  const environments = new Map(project.environments.map((environment) => [environment.id, environment]));
  const sizer = createPageSizer(() => settings().pageSize, options.pageMaxAgeMs);
  const retryContext = createRetryContext(options, signal, (error) => {
    if (error instanceof CoreTimeoutError) sizer.failed();
  });
  const retrying = createRetrying(retryContext);
  const late = createLateWrites(options.clock, options.lateWriteMs);
  const readPage = createCopyPageReader({ ...options, sizer, retrying, lost: late.lost }, signal);
  const { budget, overridesTable } = stores.edge;
  const progress = await openCopyProgress({ ...options, retrying, budget, overridesTable }, lookUp, signal);
  // The previous worker may have been killed with an insert in flight.
  if (progress.isResumed) late.lost();
  // Core keeps the rest of an environment whose deletion did not end; it is not copied, so it is not missed either.
  const live = range.segments.filter(({ environmentId }) => environments.has(environmentId));
  const completeness = createCompleteness({ ...options, environments, progress, retrying, copyFrom: copySegments });

  await copySegments(progress.start);
  await completeness.ensure(signal);
  await late.settled(signal);
  if (options.recheck !== undefined && progress.hasWritten) await recheckCopied(options.recheck);
  return progress.finish(signal);

  function copySegments({ position, after }: StartPosition): Promise<void> {
    const { segments } = range;
    const moveTo = (segment: number) => progress.moveTo(segment, signal);
    return workThrough({ segments, environments, logger, at, moveTo }, { segment: position.segment, start: after });
  }

  function at({ environment, segment }: SegmentPlace<Segment>): PageWork<string, FetchedPage> {
    const failing = createFailingSince(options);
    return {
      read: (start) => readPage(environment, segment, start),
      nextOf: (page) => nextOf(page, segment),
      async handle(page, start) {
        const { length } = page.identities;
        const done = length === 0 ? 0 : await writePage(page, failing);
        return done === length ? undefined : restOf(page, start, done, segment);
      },
    };
  }

  async function recheckCopied({ afterMs, handlePage }: NonNullable<CopyOptions['recheck']>): Promise<void> {
    const failing = createFailingSince(options);
    const { rangeId } = range;
    await recheckUntilStable(
      {
        rangeId,
        segments: live.map((segment) => ({ ...segment, environment: environments.get(segment.environmentId)! })),
        read: readPage,
        async write(page, isFirst) {
          // With CoreWins every check would undo what Edge clients wrote since the last one, and none would be final.
          const chosen = isFirst ? settings() : ({ ...settings(), onConflict: 'KeepEdge' } as const);
          const handled = await retrying(() => handlePage(page, chosen, signal));
          if (handled.results.length > 0) failing.ended();
          return handled;
        },
        onHindrance: failing.again,
        settled: late.settled,
        ...{ afterMs, clock: options.clock, logger },
      },
      signal,
    );
  }

  async function lookUp(environment: Pick<CoreEnvironment, 'id'>, id: number) {
    const [identity] = await retrying(() => stores.core.identities.byId(environment, [id], signal));
    return identity;
  }

  /** @returns how many identities are done, counted from the start of the page */
  async function writePage(page: FetchedPage, failing: FailingSince): Promise<number> {
    const { identities } = page;
    const started = options.clock.monotonic();
    const handled = await retrying(() => options.handlePage(page, settings(), signal));
    const done = handled.results.length;
    const seconds = (options.clock.monotonic() - started) / 1000;
    // Identities that Edge cannot hold have no documents, but their rows are read all the same.
    const bytes = Math.max(handled.documentBytes, page.size);
    if (done === identities.length) sizer.done({ identities: done, bytes, seconds });
    else sizer.failed();
    if (done > 0) {
      const newestId = range.planned?.newestId ?? 0;
      const known = identities.slice(0, done).flatMap(({ id }) => (id <= newestId ? [id] : []));
      completeness.noteRead(page.environment.id, known);
      await progress.addPage(identityMark(identities[done - 1]!), { ...handled, known }, signal);
      failing.ended();
    }
    if (done < identities.length) {
      logger.info({ identities: identities.length, done }, 'dropped a page that became too old');
      if (done === 0) failing.again(handled.hindrance);
      // The budget must cover what was written before the next page begins to age.
      await stores.edge.budget.take(0, signal);
    }
    return done;
  }
}
