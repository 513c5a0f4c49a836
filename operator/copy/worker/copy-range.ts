import type { Stores } from '@edge-migration/identity/converge.ts';
import { CoreTimeoutError } from '@edge-migration/identity/core/errors.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { boundOf } from '@edge-migration/identity/core/pages.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { LiveSettings } from '../../edge-migration/facts.ts';
import { WorkerError, withPatience } from '../../job/failure.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { Segment } from '../ranges.ts';
import type { Checkpoints } from './checkpoints.ts';
import { lookUntilItHolds } from './look-again.ts';
import { type Found, findMissed } from './missed.ts';
import type { HandlePage, Page } from './page.ts';
import { startPageAge } from './page-age.ts';
import { createPageSizer, type PageSizer } from './page-size.ts';
import { identityMark, type Start } from './position.ts';
import { openProgress, type Progress, type ProgressOptions } from './progress.ts';
import { createReadIds, type ReadIds } from './read-ids.ts';

export interface CopyOptions extends Omit<ProgressOptions, 'budget' | 'overridesTable'> {
  readonly stores: Stores;
  readonly project: CoreProject;
  /** What to do with a page: write it, or look what that would mean. */
  readonly handlePage: HandlePage;
  /** As they are now; they may change while the copy runs. */
  readonly settings: () => LiveSettings;
  readonly pageMaxAgeMs: number;
  /** The longest life of a write that was sent and not answered. */
  readonly lateWriteMs: number;
  /**
   * On tables of which a write is not final: how long after the last one what was written is looked at again, and by what
   * that is done.
   */
  readonly look?: { readonly afterMs: number; readonly handlePage: HandlePage } | undefined;
  /** How long the copy goes on while nothing gets through. */
  readonly patienceMs: number;
}

/**
 * Copies one range, page by page, from where its checkpoint says; the checkpoint moves after every page, so that a
 * worker that is killed repeats at most one. The next page is read while one is written. It is finished only when no
 * insert that was not answered, or that a worker before left behind, can be carried out any more (docs/design.md,
 * "Convergence", rule 9), and on a table of several regions only when a look has found what it wrote still there (rule 10).
 *
 * @returns the last checkpoint, which says `finished`
 * @throws errors of the stores and of the checkpoints once patience has ended; WorkerError when fewer identities were
 *   read than Core has; the signal's reason
 */
export async function copyRange(options: CopyOptions, signal: AbortSignal): Promise<Checkpoint> {
  const { stores, project, range, settings, logger } = options;
  const environments = new Map(project.environments.map((environment) => [environment.id, environment]));
  const sizer = createPageSizer(() => settings().pageSize, options.pageMaxAgeMs);
  const patiently = createPatience(options, signal, (error) => {
    if (error instanceof CoreTimeoutError) sizer.failed();
    logger.warn({ error: errorMessage(error) }, 'trying again');
  });
  const late = createLateWrites(options.clock, options.lateWriteMs);
  const startReading = createPageReader(options, sizer, patiently, late.lost, signal);
  const checkpoints: Checkpoints = {
    load: (signal) => patiently(() => options.checkpoints.load(signal)),
    save: (saved, signal) => patiently(() => options.checkpoints.save(saved, signal)),
  };
  const { budget, overridesTable } = stores.edge;
  const progress = await openProgress({ ...options, checkpoints, budget, overridesTable }, lookUp, signal);

  /** By environment; undefined while a process before has read some. */
  let readIds: Map<number, ReadIds> | undefined = progress.isFromStart ? new Map() : undefined;
  // Whoever worked on it before may have been killed with an insert under way.
  if (progress.isResumed) late.lost();
  // Core keeps what is left of an environment whose deletion did not end; it is not copied, so it is not missed either.
  const live = range.segments.filter(({ environmentId }) => environments.has(environmentId));

  await copySegments(progress.start);
  await readWhatWasMissed();
  await late.settled(signal);
  if (options.look !== undefined && progress.hasWritten) await lookAgain(options.look);
  return progress.finish(signal);

  async function copySegments({ position, after }: Start): Promise<void> {
    for (let index = position.segment; index < range.segments.length; index++) {
      const segment = range.segments[index]!;
      const environment = environments.get(segment.environmentId);
      const isResumed = position.segment === index;
      // Deleted since the ranges were planned, and its identities with it.
      if (environment === undefined) logger.warn({ environmentId: segment.environmentId }, 'environment is gone');
      else await copySegment(environment, segment, isResumed ? after : segment.after);
      await progress.moveTo(index + 1, signal);
    }
  }

  async function lookAgain({ afterMs, handlePage }: NonNullable<CopyOptions['look']>): Promise<void> {
    const failing = createFailingSince(options);
    const { rangeId } = range;
    await lookUntilItHolds(
      {
        rangeId,
        segments: live.map((segment) => ({ ...segment, environment: environments.get(segment.environmentId)! })),
        read: startReading,
        async write(page, isFirst) {
          // With CoreWins every look would undo what Edge clients have written since the one before, and none be the last.
          const chosen = isFirst ? settings() : ({ ...settings(), onConflict: 'KeepEdge' } as const);
          const handled = await patiently(() => handlePage(page, chosen, signal));
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

  async function findMissedNow(): Promise<Found | 'unsure'> {
    const present = await patiently(() => stores.core.projects.get(project.id, signal));
    const there = new Set(present?.environments.map(({ id }) => id));
    const isPresent = (id: number) => environments.has(id) && there.has(id);
    const isOf = (id: number) => (segment: number) => range.segments[segment]!.environmentId === id;
    const countOf = (id: number) =>
      readIds === undefined ? progress.knownOf(isOf(id)) : (readIds.get(id)?.count() ?? 0);
    const wasRead = { ids: readIds, sums: progress.knownSums(), countOf };
    return patiently(() => findMissed({ core: stores.core, range, isPresent, wasRead, signal }));
  }

  /**
   * One that was given a smaller identifier meanwhile was passed by; a second reading finds it. What is missed twice is not
   * found by a third one either.
   */
  async function readWhatWasMissed(): Promise<void> {
    for (let isRepeated = false; ; ) {
      const found = await findMissedNow();
      if (found !== 'unsure' && found.missed === 0) return;
      const start = await progress.restart(signal);
      if (isRepeated && found !== 'unsure') throw deficit(found);
      isRepeated = found !== 'unsure';
      logger.info({ rangeId: range.rangeId }, 'identities were missed, or may have been: the range is read again');
      readIds = new Map();
      await copySegments(start);
    }
  }

  function deficit({ read, missed }: Found): WorkerError {
    return new WorkerError(
      'transient',
      `project ${project.id}, range ${range.rangeId}: twice, ${read} identities were read where Core has ` +
        `${read + missed}: Core's unique index on identifiers is damaged: REINDEX TABLE CONCURRENTLY environments_identity`,
    );
  }

  function remember(environmentId: number, ids: readonly number[]): void {
    if (readIds === undefined) return;
    const own = readIds.get(environmentId) ?? createReadIds();
    readIds.set(environmentId, own);
    own.add(ids);
  }

  async function lookUp(environment: Pick<CoreEnvironment, 'id'>, id: number) {
    const [identity] = await patiently(() => stores.core.identities.byId(environment, [id], signal));
    return identity;
  }

  async function copySegment(environment: CoreEnvironment, segment: Segment, after: string | null): Promise<void> {
    const failing = createFailingSince(options);
    let next = startReading(environment, segment, after);
    for (;;) {
      const page = await next;
      const last = page.identities.at(-1);
      if (last === undefined) return;
      if (!page.isLast) next = startReading(environment, segment, boundOf(last, segment.order));
      const done = await writePage(page, progress, failing);
      if (done === page.identities.length) {
        if (page.isLast) return;
      } else {
        // What was read ahead is beyond the gap.
        next = startReading(environment, segment, reached(page, done));
      }
      after = reached(page, done);
    }

    function reached({ identities }: ReadPage, done: number): string | null {
      const identity = identities[done - 1];
      return identity === undefined ? after : boundOf(identity, segment.order);
    }
  }

  /** @returns how many of the page's first identities are done */
  async function writePage(page: ReadPage, progress: Progress, failing: FailingSince): Promise<number> {
    const { identities } = page;
    const started = options.clock.monotonic();
    const handled = await patiently(() => options.handlePage(page, settings(), signal));
    const done = handled.results.length;
    const seconds = (options.clock.monotonic() - started) / 1000;
    // Rows of identities that Edge cannot hold have no documents, but are read all the same.
    const bytes = Math.max(handled.documentBytes, page.size);
    if (done === identities.length) sizer.done({ identities: done, bytes, seconds });
    else sizer.failed();
    if (done > 0) {
      const newestId = range.planned?.newestId ?? 0;
      const known = identities.slice(0, done).flatMap(({ id }) => (id <= newestId ? [id] : []));
      remember(page.environment.id, known);
      await progress.addPage(identityMark(identities[done - 1]!), { ...handled, known }, signal);
      failing.ended();
    }
    if (done < identities.length) {
      logger.info({ identities: identities.length, done }, 'dropped a page that became too old');
      if (done === 0) failing.again(handled.hindrance);
      // What was written is to be paid for before the next page begins to age.
      await stores.edge.budget.take(0, signal);
    }
    return done;
  }
}

type Patiently = <T>(work: () => Promise<T>) => Promise<T>;

function createPatience(
  { clock, patienceMs }: CopyOptions,
  signal: AbortSignal,
  onRetry: (error: unknown) => void,
): Patiently {
  return (work) => withPatience({ clock, patienceMs, signal, onRetry }, work);
}

/** A page as it was read, whether Core has more behind it, and the characters of its rows. */
interface ReadPage extends Page {
  readonly isLast: boolean;
  readonly size: number;
}

function createPageReader(
  { stores, clock, pageMaxAgeMs }: CopyOptions,
  sizer: PageSizer,
  patiently: Patiently,
  lost: () => void,
  signal: AbortSignal,
) {
  return (environment: CoreEnvironment, segment: Segment, after: string | null): Promise<ReadPage> => {
    const reading = patiently(async () => {
      const limit = sizer.next();
      const deadline = startPageAge(clock, pageMaxAgeMs);
      const request = { environment, order: segment.order, after, until: segment.until, limit };
      const { identities, isLast, size } = await stores.core.identities.page(request, signal);
      return { environment, identities, deadline, lost, isLast, size };
    });
    // Nobody may be waiting when it fails; whoever awaits it later still sees the failure.
    reading.catch(() => {});
    return reading;
  };
}

interface FailingSince {
  /** Something got through. */
  ended(): void;
  /** Nothing did. Throws what was in the way once patience has ended. */
  again(hindrance: unknown): void;
}

/** Pages that become too old one after the other, without one identity written, are a failure of the store. */
function createFailingSince({ clock, patienceMs }: CopyOptions): FailingSince {
  let since: number | undefined;
  let reason: unknown;
  return {
    ended() {
      since = undefined;
      reason = undefined;
    },
    again(hindrance) {
      since ??= clock.monotonic();
      // A page that was too old before anything was sent says nothing of what made those before it too old.
      const cause = hindrance instanceof Error && hindrance.cause instanceof Error ? hindrance.cause : undefined;
      reason = cause ?? reason ?? hindrance;
      if (clock.monotonic() - since >= patienceMs) throw reason;
    },
  };
}
