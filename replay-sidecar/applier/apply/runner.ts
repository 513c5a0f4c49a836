import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Convergence, Fence, Stores, Subject } from '@edge-migration/identity/converge.ts';
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import { itemBytes } from '@edge-migration/identity/edge/document/size.ts';
import { EVERYTHING, joinTouched, NOTHING, type Touched } from '@edge-migration/identity/edge/merge.ts';
import { DeadlinePassedError } from '@edge-migration/identity/edge/table/table.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { HAND_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import type { Admission } from '../admit/admission.ts';
import { type Cursor, type Delivery, derivedId, isListing, type Work } from '../consume/delivery.ts';
import type { Patience } from '../patience.ts';
import type { Spread } from '../resolve/spread.ts';
import { MigrationStoppedError, type ProjectAborts } from '../schedule/project-aborts.ts';
import type { ProjectRateLimiter } from '../schedule/project-rate-limiter.ts';
import type { Parking } from '../settle/parking.ts';
import { chooseWaiting } from '../settle/unstorable.ts';
import { applyEvents } from './apply.ts';
import { readFanOutPage } from './fan-out.ts';
import { createLooks, type Found, type LookOptions } from './looks.ts';
import type { Repeats } from './repeats.ts';

/** Makes an event the next page of a fan-out. */
export interface NextPage {
  readonly cursor: Cursor;
  /** By which the stream knows it when it is published once more. */
  readonly id: string;
}

export interface RunnerOptions extends LookOptions {
  stores: Stores;
  aborts: Pick<ProjectAborts, 'of'>;
  rateLimiter: Pick<ProjectRateLimiter, 'charge'>;
  admission: Pick<Admission, 'admit' | 'park' | 'revisit'>;
  parking: Pick<Parking, 'isListed' | 'wake'>;
  patience: Patience;
  repeats: Repeats;
  /** Resolves when the stream has what follows from an event. */
  publish(projectId: number, event: WriteEvent, page?: NextPage): Promise<void>;
  /** What is known of an environment by its id or key is out of date. */
  forget(environmentId: number): void;
  /** A document was written. */
  wrote(key: string): void;
  /** Whether the stream of events is long: then nothing is added to it. */
  isBusy(): boolean;
  /** Told how late an event is when it has been applied, in milliseconds. */
  onApplied(projectId: number, lagMs: number): void;
  logger: Logger;
  signal: AbortSignal;
}

/** An event may keep the stream from going on for so long; a little more than until most are handled for the second time. */
const MOST_WAIT_MS = 70_000;

/** Carries out what was admitted: all that is in hand for one document together, or one page of a fan-out. */
export function createRunner(options: RunnerOptions) {
  const { admission: pipeline, aborts: stops, patience, repeats, counts, now, logger, signal } = options;
  const looks = createLooks(options);

  async function apply(projectId: number, all: readonly Work[]): Promise<void> {
    const { works, copying } = pipeline.admit(all);
    const newest = works.at(-1);
    if (newest === undefined) return;
    try {
      const stop = stops.of(projectId);
      if (newest.resolution.kind === 'identity') await applyToIdentity(projectId, works, copying, stop);
      else await fanOut(projectId, newest, copying, stop);
    } catch (error) {
      if (signal.aborted) return;
      for (const work of works.filter(({ held }) => held.isOpen())) giveUp(projectId, work, error);
    }
  }

  async function applyToIdentity(projectId: number, works: readonly Work[], copying: boolean, stop: AbortSignal) {
    const identities = works.flatMap(({ resolution }) => (resolution.kind === 'identity' ? [resolution] : []));
    const subject = identities.at(-1);
    if (subject === undefined) return;
    if (!copying && (await looks.postpone(projectId, works))) return;
    const followers = works.flatMap(followersOf);
    if (followers.length > 0 && !(await tryToPublish(projectId, works, followers))) return;
    let hasWritten = false;
    const wrote = () => {
      hasWritten = true;
      options.wrote(compositeKey(subject.environment.apiKey, subject.identifier));
    };
    const { convergence, held, region } = await patience.persist(
      () => applyHere(subject, works, copying, stop, wrote).catch(rethrow(projectId)),
      stop,
    );
    const count = counts.of(projectId);
    count.converged += 1;
    options.rateLimiter.charge(projectId, writeUnitsOf(convergence));
    if (!(await passOn(projectId, works, convergence))) return;
    const touched = joinTouched(works.map(touchedOf));
    const here = { region, document: convergence.document, core: convergence.core };
    const found = hasWritten ? 'overtaken' : await looks.compare(subject, works, here, touched);
    const waiting = keepUnstorable(projectId, subject.environment.id, convergence, works);
    for (const [index, work] of works.entries()) {
      if (!work.held.isOpen()) continue;
      count.applied[convergence.outcome] += 1;
      count.lastAppliedTime = now();
      options.onApplied(projectId, now() - work.observed);
      // What else is to be said of it is said then.
      if (work.held.isDoubtful()) pipeline.revisit(work);
      else if (held[index]) pipeline.park(work, projectId, 'copying');
      else if (waiting?.indexes.has(index)) {
        pipeline.park(work, projectId, 'unstorable', {
          detail: convergence.skipped?.detail,
          identity: waiting.identity,
        });
      } else finishIdentity(projectId, work, found, region);
    }
  }

  /** @returns with the region in which it was done; undefined where another one was written before it was over */
  async function applyHere(
    subject: Subject,
    works: readonly Work[],
    copying: boolean,
    stop: AbortSignal,
    wrote: () => void,
  ) {
    const region = await options.region();
    const fence = { ...fenceOf(works), wrote };
    const applied = await applyEvents(options.stores, subject, works.map(touchedOf), copying, stop, fence);
    return { ...applied, region: (await options.region()) === region ? region : undefined };
  }

  function finishIdentity(projectId: number, work: Work, found: Found, region: string | undefined): void {
    const next = repeats.next(work.event, work.observed, now());
    if (next !== undefined || options.lookAfter() === undefined) finish(projectId, work, next);
    else looks.finish(projectId, work, found, region);
  }

  /** Which of several events wait because Edge cannot hold their identity now; what waits goes on when it can. */
  function keepUnstorable(
    projectId: number,
    environmentId: number,
    { skipped, pending, core }: Convergence,
    works: readonly Work[],
  ): { identity: UnstorableIdentity; indexes: ReadonlySet<number> } | undefined {
    if (skipped === undefined) {
      const identityId = Number(core?.['django_id']?.N ?? 0);
      options.parking.wake(projectId, { environmentId, identityId });
      return undefined;
    }
    const { identityId, reason, detail } = skipped;
    const identity = { environmentId, identityId, cause: reason };
    const wasListed = options.parking.isListed(projectId, identity);
    if (!wasListed) logger.warn({ projectId, environmentId, identityId, reason, detail }, 'Edge cannot hold an identity');
    const touched = works.map(touchedOf);
    const isListed = wasListed && !works.some(({ held }) => isListing(held.message));
    return { identity, indexes: chooseWaiting(touched, pending ?? EVERYTHING, isListed) };
  }

  /**
   * The document's key is not its environment's now (docs/design.md, "Convergence", rule 8). Whoever went by it as the
   * present one asks again; where another environment has it, what is there is looked at as that one's.
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
    const left = works.filter(({ held }) => held.isOpen());
    return (
      holder === undefined ||
      tryToPublish(
        projectId,
        left,
        left.map((work) => toHolder(work, holder)),
      )
    );
  }

  /**
   * @param more published after the events
   * @returns false: the stream is full or cannot be reached, which says nothing about the works; they come again
   */
  async function tryToPublish(
    projectId: number,
    works: readonly Work[],
    events: readonly WriteEvent[],
    more = async () => {},
  ): Promise<boolean> {
    try {
      await Promise.all(events.map((event) => options.publish(projectId, event)));
      await more();
      return true;
    } catch (error) {
      logger.warn({ err: error, projectId }, 'what follows from an event cannot be published; tried again');
      for (const { held } of works) held.nak(HAND_AGAIN_MS);
      return false;
    }
  }

  async function fanOut(projectId: number, work: Work, copying: boolean, stop: AbortSignal): Promise<void> {
    if (options.isBusy()) {
      work.held.nak(HAND_AGAIN_MS);
      return;
    }
    const round = repeats.round(work.event, work.observed, now());
    const page = await patience.persist(async () => {
      if (looks.pauseForHome(work) !== undefined) return undefined;
      return readFanOutPage(options.stores, work, round, stop).catch(rethrow(projectId));
    }, stop);
    // Also where it was read: that may have been in another region already.
    const pauseMs = looks.pauseForHome(work);
    if (page === undefined || pauseMs !== undefined) {
      looks.laterElsewhere(projectId, work, pauseMs ?? HAND_AGAIN_MS);
      return;
    }
    const isPublished = await tryToPublish(projectId, [work], [...followersOf(work), ...page.events], async () => {
      // Behind its page: whoever takes the next one may rely on it.
      if (page.next !== undefined)
        await options.publish(projectId, { ...work.event, outcome: 'known' }, nextPage(work, page.next));
    });
    if (!isPublished) return;
    counts.of(projectId).fannedOut += 1;
    // What the copy still writes is in no listing yet (docs/design.md, "Convergence", rule 3).
    const isHeld = copying && work.resolution.kind === 'environment' && work.cursor === undefined;
    if (isHeld) pipeline.park(work, projectId, 'copying');
    else finish(projectId, work, nextFanOut(work));
  }

  /** Whether there is an EdgeMigration is judged of each part, when it comes. */
  async function spread(delivery: Delivery, { parts, projectId = 0 }: Spread): Promise<void> {
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
          return options.publish(project, { ...event, id, target, touched, outcome: 'known' });
        }),
      );
      finish(projectId, delivery, repeats.next(event, observed, now()));
    } catch (error) {
      logger.warn({ err: error, eventId: event.id }, 'the parts of an event cannot be published; tried again');
      held.nak(HAND_AGAIN_MS);
    }
  }

  /** Pages are not repeated by themselves: the event that they come from is. */
  const nextFanOut = ({ event, observed, cursor }: Work) =>
    cursor === undefined ? repeats.next(event, observed, now()) : undefined;

  function rethrow(projectId: number) {
    return (error: unknown): never => {
      counts.of(projectId).failed += 1;
      throw error;
    };
  }

  /**
   * Done with, unless it is to be handled once more. For minutes it waits aside under its project: in the stream it would
   * keep all projects from knowing that what was published before them is applied.
   */
  function finish(projectId: number, { held }: Pick<Delivery, 'held'>, next: number | undefined): void {
    if (next === undefined) held.ack();
    else if (next - now() <= MOST_WAIT_MS) held.nak(next - now());
    else pipeline.park({ held }, projectId, 'repeat', { due: Math.ceil(next / 1000) });
  }

  /** Stopped in the middle, or not ours any more: judged again when it comes back. Otherwise it failed again and again. */
  function giveUp(projectId: number, work: Work, error: unknown): void {
    if (error instanceof MigrationStoppedError || error instanceof DeadlinePassedError) {
      work.held.nak(1);
      return;
    }
    logger.error({ err: error, projectId, eventId: work.event.id }, 'an event cannot be applied; it is parked');
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    pipeline.park(work, projectId, 'poison', { detail });
  }

  return { apply, spread };
}

/**
 * The same when the message is delivered once more. Another message with the event begins from the front, as when it has
 * waited for the end of the copy, and must not be cut short because the stream still knows the pages of the first time.
 */
function nextPage({ event, held }: Work, cursor: Cursor): NextPage {
  return { cursor, id: derivedId(event.id, held.message.seq, JSON.stringify(cursor)) };
}

/** What names a former key is about the documents under the present one, too. */
function followersOf({ event, resolution, cursor }: Work): WriteEvent[] {
  const { kind } = resolution;
  if ((kind !== 'identity' && kind !== 'environment') || !resolution.isFormer || cursor !== undefined) return [];
  const environment = { environmentId: resolution.environment.id };
  const target = kind === 'identity' ? { kind, environment, identifier: resolution.identifier } : { kind, environment };
  return [{ ...event, id: derivedId(event.id, 'present key'), target, outcome: atLeastTwice(event) }];
}

/** One write is for all of them: as long as none of them may be another process's, and each is in doubt by it. */
function fenceOf(works: readonly Work[]): Fence {
  return {
    deadline: { left: () => works.reduce((least, { held }) => Math.min(least, held.left()), Number.POSITIVE_INFINITY) },
    lost() {
      for (const { held } of works) held.doubt();
    },
  };
}

function touchedOf({ resolution }: Work): Touched {
  return resolution.kind === 'identity' ? resolution.touched : NOTHING;
}

/** Whether the identity is there is all that an event about another environment can say. */
function toHolder({ event, resolution }: Work, environmentId: number): WriteEvent {
  const identifier = resolution.kind === 'identity' ? resolution.identifier : '';
  const target = { kind: 'identity', environment: { environmentId }, identifier } as const;
  const touched = { traits: [], overrides: [] };
  return { ...event, id: derivedId(event.id, 'holder', environmentId), target, touched, outcome: atLeastTwice(event) };
}

/**
 * Flagsmith's processes go by a former key for some seconds more. When the event itself is handled again, what follows
 * from it is a duplicate for the stream.
 */
function atLeastTwice({ outcome }: WriteEvent): WriteEvent['outcome'] {
  return outcome === 'known' ? 'unknown' : outcome;
}

/** The table and the two indexes that every document is in. */
const WRITES_PER_DOCUMENT = 3;

/** About what it cost, by the size of the document that was written. */
function writeUnitsOf({ outcome, core = {}, written }: Convergence): number {
  const isWhole = outcome === 'inserted' || outcome === 'updated' || outcome === 'replaced' || outcome === 'deleted';
  const document = isWhole ? core : written;
  return document === undefined ? 0 : WRITES_PER_DOCUMENT * Math.max(1, Math.ceil(itemBytes(document) / 1024));
}
