import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { Convergence, Fence, Subject } from '@edge-migration/identity/converge.ts';
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import { itemBytes } from '@edge-migration/identity/edge/document/size.ts';
import { EVERYTHING, joinTouched, NOTHING_TOUCHED, type Touched } from '@edge-migration/identity/edge/merge.ts';
import { isListing, isRecheck, type Work } from '../consume/delivery.ts';
import { chooseWaiting } from '../settle/unstorable.ts';
import { applyEvents } from './apply.ts';
import { followersOf, toHolder } from './derived-events.ts';
import type { Endings } from './endings.ts';
import type { RecheckResult, Rechecks } from './rechecks.ts';
import type { EventRunnerOptions } from './runner.ts';

/** Which of several events wait because Edge cannot hold their identity. */
interface Waiting {
  readonly identity: UnstorableIdentity;
  readonly indexes: ReadonlySet<number>;
}

/** Applies everything in flight for one document together. */
export function createIdentityRunner(options: EventRunnerOptions, rechecks: Rechecks, endings: Endings) {
  const { admission: pipeline, counts, repeats, now } = options;

  const noteWrite = ({ environment, identifier }: Subject) =>
    options.wrote(compositeKey(environment.apiKey, identifier));

  /** @returns the result and its region; undefined where another region became the written one meanwhile */
  async function applyHere(
    subject: Subject,
    works: readonly Work[],
    copying: boolean,
    stop: AbortSignal,
    wrote: () => void,
  ) {
    const region = await options.region();
    const fence = fenceOf(works, wrote, () => noteWrite(subject));
    const applied = await applyEvents(options.stores, subject, works.map(touchedOf), copying, stop, fence);
    return { ...applied, region: (await options.region()) === region ? region : undefined };
  }

  /** Keeps the events that wait because Edge cannot hold their identity now; they go on when it can. */
  function keepUnstorable(
    projectId: number,
    environmentId: number,
    { skipped, pending, core }: Convergence,
    works: readonly Work[],
  ): Waiting | undefined {
    if (skipped === undefined) {
      const identityId = Number(core?.['django_id']?.N ?? 0);
      options.parking.wake(projectId, { environmentId, identityId });
      return undefined;
    }
    const { identityId, reason, detail } = skipped;
    const identity = { environmentId, identityId, cause: reason };
    const wasListed = options.parking.isListed(projectId, identity);
    if (!wasListed)
      options.logger.warn({ projectId, environmentId, identityId, reason, detail }, 'Edge cannot hold an identity');
    const touched = works.map(touchedOf);
    const isListed = wasListed && !works.some(({ held }) => isListing(held.message));
    return { identity, indexes: chooseWaiting(touched, pending ?? EVERYTHING, isListed) };
  }

  /**
   * The key is not its environment's now (docs/design.md, "Convergence", rule 8). An event that took it for the present
   * one is resolved again; where another environment has the key, the document is handled as that one's.
   *
   * @returns false: nothing is done yet
   */
  async function passOn(projectId: number, works: readonly Work[], { former }: Convergence): Promise<boolean> {
    if (former === undefined) return true;
    for (const { held, resolution } of works) {
      if (resolution.kind !== 'identity' || resolution.isGone) continue;
      options.forget(resolution.environment.id);
      held.nak(1);
    }
    const { holder } = former;
    if (holder === undefined) return true;
    const left = works.filter(({ held }) => held.isOpen());
    const events = left.map((work) => toHolder(work, holder));
    return endings.tryToPublish(projectId, left, events);
  }

  function finish(projectId: number, work: Work, found: RecheckResult, region: string | undefined): void {
    const next = repeats.next(work.event, work.observed, now());
    if (next !== undefined || options.recheckDelayMs() === undefined) endings.finish(projectId, work, next);
    else rechecks.finish(projectId, work, found, region);
  }

  /** Settles each event once its document agrees with Core. */
  function end(projectId: number, works: readonly Work[], applied: Applied, waiting: Waiting | undefined): void {
    const { convergence, held, found, region } = applied;
    const count = counts.of(projectId);
    for (const [index, work] of works.entries()) {
      if (!work.held.isOpen()) continue;
      count.applied[convergence.outcome] += 1;
      count.lastAppliedTime = now();
      if (!isRecheck(work.held.message)) options.onApplied(projectId, now() - work.observed);
      // Anything else to report about it is reported then.
      if (work.held.isDoubtful()) pipeline.revisit(work);
      else if (held[index]) pipeline.park(work, projectId, 'copying');
      else if (waiting?.indexes.has(index)) {
        const { identity } = waiting;
        pipeline.park(work, projectId, 'unstorable', { detail: convergence.skipped?.detail, identity });
      } else finish(projectId, work, found, region);
    }
  }

  return async (projectId: number, works: readonly Work[], copying: boolean, stop: AbortSignal): Promise<void> => {
    const identities = works.flatMap(({ resolution }) => (resolution.kind === 'identity' ? [resolution] : []));
    const subject = identities.at(-1);
    if (subject === undefined) return;
    if (!copying && (await rechecks.postpone(projectId, works))) return;
    const followers = works.flatMap(followersOf);
    if (followers.length > 0 && !(await endings.tryToPublish(projectId, works, followers))) return;
    let hasWritten = false;
    const wrote = () => {
      hasWritten = true;
      noteWrite(subject);
    };
    const { convergence, held, region } = await options.eventRetry
      .run(() => applyHere(subject, works, copying, stop, wrote).catch(endings.rethrow(projectId)), stop)
      .catch((error: unknown) => {
        if (hasWritten) doubtRechecks(works);
        throw error;
      });
    counts.of(projectId).converged += 1;
    options.rateLimiter.charge(projectId, writeUnitsOf(convergence));
    if (hasWritten && convergence.former !== undefined) doubtRechecks(works);
    if (!(await passOn(projectId, works, convergence))) return;
    const touched = convergence.touched ?? joinTouched(works.map(touchedOf));
    const here = { region, document: convergence.document, core: convergence.core };
    const found = hasWritten ? 'overtaken' : await rechecks.compare(subject, works, here, touched);
    const waiting = keepUnstorable(projectId, subject.environment.id, convergence, works);
    end(projectId, works, { convergence, held, found, region }, waiting);
  };
}

/** The result of an application. */
interface Applied {
  readonly convergence: Convergence;
  /** Per event: it waits for the end of the copy. */
  readonly held: readonly boolean[];
  readonly found: RecheckResult;
  readonly region: string | undefined;
}

/**
 * One write serves all of them: while none of them may be another process's, and it puts each in doubt.
 *
 * @param wrote is told of a write that was answered, and `sent` of one that may be carried out all the same
 */
function fenceOf(works: readonly Work[], wrote: () => void, sent: () => void): Fence {
  return {
    wrote,
    deadline: { left: () => works.reduce((least, { held }) => Math.min(least, held.left()), Number.POSITIVE_INFINITY) },
    lost() {
      for (const { held } of works) held.doubt();
      sent();
    },
  };
}

/**
 * They have written and may come back as they are: as mere rechecks they would find nothing to write, and end although
 * nothing has checked that write. Marked as in doubt, they are applied again from the start.
 */
function doubtRechecks(works: readonly Work[]): void {
  for (const { held } of works) if (isRecheck(held.message)) held.doubt();
}

function touchedOf({ resolution }: Work): Touched {
  return resolution.kind === 'identity' ? resolution.touched : NOTHING_TOUCHED;
}

/** Every document is in the table and its two indexes. */
const WRITES_PER_DOCUMENT = 3;

/** Its approximate cost, by the size of the written document. */
function writeUnitsOf({ outcome, core = {}, written }: Convergence): number {
  const isWhole = outcome === 'inserted' || outcome === 'updated' || outcome === 'replaced' || outcome === 'deleted';
  const document = isWhole ? core : written;
  return document === undefined ? 0 : WRITES_PER_DOCUMENT * Math.max(1, Math.ceil(itemBytes(document) / 1024));
}
