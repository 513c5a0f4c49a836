import type { ParkReason } from '@edge-migration/contract/parked-place.ts';
import { isProbe } from '@edge-migration/contract/streams/events.ts';
import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { HELD_BACK_LOOK_MS, PARK_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import { type Delivery, readDelivery, UnreadableEventError, type Work } from '../consume/delivery.ts';
import type { Renew } from '../consume/renewal.ts';
import type { Counts } from '../report/counts.ts';
import type { Resolution, Resolver } from '../resolve/resolver.ts';
import type { Spread } from '../resolve/spread.ts';
import type { ParkDetails } from '../settle/intake.ts';
import type { Parking } from '../settle/parking.ts';
import type { Migrations } from './migrations.ts';

/** From a message to a decision: who is it about, and may it be applied? */
export interface Admission {
  /** Takes a message in hand. */
  handle(held: InFlightMessage): void;
  /** Judges what could not be judged yet, as soon as the view allows it. Rejects with the signal's reason. */
  run(signal: AbortSignal): Promise<never>;
  /** What the view says now; what may not be applied goes its way. */
  admit(works: readonly Work[]): { works: readonly Work[]; copying: boolean };
  /** Puts an event aside; if that does not work out it is delivered again. */
  park(delivery: Parked, projectId: number, reason: ParkReason, more?: ParkDetails): void;
  /**
   * Has an event handled once more when writes that were sent for it must have arrived. Until then it waits aside; where
   * there is no room for it, in hand: delivered again it would be in doubt again, and the stream never shorter.
   */
  revisit(work: Work): void;
}

/** An event that is put aside; when it began is unknown of one that cannot be read. */
type Parked = Pick<Delivery, 'held'> & Partial<Pick<Delivery, 'began'>>;

export interface AdmissionOptions {
  migrations: Migrations;
  resolver: Resolver;
  parking: Pick<Parking, 'park'>;
  counts: Counts;
  /** Publishes the parts of an event that lies in several projects. Never rejects. */
  spread(delivery: Delivery, found: Spread): Promise<void>;
  /** Puts an event that was delivered before into the stream as a message of its own. */
  renew: Renew;
  /** Takes events that are to be applied. */
  enqueue(work: Work): void;
  /** Whether a project has as many events in hand as it may. */
  isFull(projectId: number): boolean;
  /** What is `late` is handled once more after so long. */
  lateWriteSeconds: number;
  clock: Clock;
  logger: Logger;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { migrations, resolver, parking, counts, clock, logger } = options;
  const undecided = new Set<Work>();
  /** Of projects without an EdgeMigration, as far as the view goes. */
  let foreign: { readonly held: InFlightMessage; readonly projectId: number }[] = [];
  /** In hand until what was sent for them has arrived, by when that began. */
  const revisited = new Map<Work, Moment>();

  function handle(held: InFlightMessage): void {
    if (isProbe(held.message.subject)) {
      counts.ignored += 1;
      held.ack();
      return;
    }
    try {
      const projectId = resolver.peekProjectId(held.message.data);
      if (projectId !== undefined && migrations.find(projectId) === undefined) foreign.push({ held, projectId });
      else begin(readDelivery(held));
    } catch (error) {
      if (!(error instanceof UnreadableEventError)) throw error;
      counts.unreadable += 1;
      logger.warn({ sequence: held.message.seq, problem: error.message }, 'a message is no event; it is parked');
      park({ held }, 0, 'poison', { detail: error.message });
    }
  }

  function begin(delivery: Delivery): void {
    const resolution = resolver.peek(delivery.event);
    if (resolution !== undefined) take(delivery, resolution);
    else void resolve(delivery);
  }

  async function resolve(delivery: Delivery): Promise<void> {
    try {
      take(delivery, await resolver.resolve(delivery.event));
    } catch (error) {
      // Stopping gives everything back; whatever else is wrong with it, this event alone has it.
      if (!delivery.held.isOpen()) return;
      logger.error({ err: error, eventId: delivery.event.id }, 'cannot resolve event target; parked');
      park(delivery, 0, 'poison', { detail: String(error) });
    }
  }

  function take(delivery: Delivery, resolution: Resolution): void {
    switch (resolution.kind) {
      case 'nothing':
        counts.ignored += 1;
        delivery.held.ack();
        return;
      case 'spread':
        void options.spread(delivery, resolution);
        return;
      case 'unknown':
        park(delivery, 0, 'poison', { detail: resolution.why });
        return;
      default:
        judge({ ...delivery, resolution });
    }
  }

  function judge(work: Work): void {
    if (decide(work) === 'gone') return;
    const { projectId } = work.resolution;
    if (options.isFull(projectId)) park(work, projectId, 'overflow');
    else if (work.held.isShared() && work.resolution.kind === 'identity') void renew(work);
    else options.enqueue(work);
  }

  /** Where the stream has no room it is applied as it is: the stream would never become shorter otherwise. */
  async function renew(work: Work): Promise<void> {
    const { held, resolution, event } = work;
    try {
      await options.renew(held.message, resolution.projectId);
      held.ack();
    } catch (error) {
      if (!held.isOpen()) return;
      logger.warn({ err: error, eventId: event.id }, 'an event cannot be put into the stream again; it is applied as it is');
      options.enqueue(work);
    }
  }

  /** Everything that is not to be applied is on its way when this returns. */
  function decide(work: Work): 'apply' | 'copying' | 'gone' {
    if (!migrations.isConfirmed()) return wait(work);
    const { projectId } = work.resolution;
    const verdict = migrations.judge(projectId, work.began);
    switch (verdict.kind) {
      case 'apply':
        return verdict.copying ? 'copying' : 'apply';
      case 'park':
        park(work, projectId, verdict.reason);
        return 'gone';
      case 'drop':
        if (!migrations.isListedSince(work.held.delivered)) return wait(work);
        if (verdict.reason === 'noMigration') counts.foreign += 1;
        else counts.of(projectId).dropped[verdict.reason] += 1;
        work.held.ack();
        return 'gone';
    }
  }

  /**
   * Those go whose projects had no EdgeMigration in a view that was listed after they were delivered, and whose keys were
   * those projects' after that, too: Core may have given a key that is remembered to another environment.
   */
  async function settleForeign(): Promise<void> {
    const waited = foreign;
    foreign = [];
    const going: typeof foreign = [];
    for (const one of waited) {
      if (migrations.find(one.projectId) !== undefined) handle(one.held);
      else (migrations.isListedSince(one.held.delivered) ? going : foreign).push(one);
    }
    if (going.length === 0) return;
    try {
      await resolver.reload(going.map(({ held }) => held.message.data));
    } catch (error) {
      // Stopping gives them back; whatever else Core says, it says it of each when it is resolved.
      if (going.some(({ held }) => held.isOpen())) logger.warn({ err: error }, 'it cannot be asked whose client keys are');
      for (const { held } of going) held.nak(PARK_AGAIN_MS);
      return;
    }
    for (const { held, projectId } of going) {
      if (resolver.peekProjectId(held.message.data) !== projectId) handle(held);
      else {
        counts.foreign += 1;
        held.ack();
      }
    }
  }

  function wait(work: Work): 'gone' {
    undecided.add(work);
    return 'gone';
  }

  function park(delivery: Parked, projectId: number, reason: ParkReason, more?: ParkDetails): void {
    const { held } = delivery;
    store(delivery, projectId, reason, more).catch((error: unknown) => {
      if (held.isOpen()) logger.warn({ err: error, projectId, reason }, 'an event cannot be parked; tried again later');
      held.nak(PARK_AGAIN_MS);
    });
  }

  async function store({ held, began }: Parked, projectId: number, reason: ParkReason, more?: ParkDetails) {
    await parking.park(held, projectId, reason, { ...more, began });
    if (projectId !== 0) counts.of(projectId).parked[reason] += 1;
    held.ack();
  }

  function revisit(work: Work): void {
    const { projectId } = work.resolution;
    store(work, projectId, 'late').catch((error: unknown) => {
      if (!work.held.isOpen()) return;
      logger.warn(
        { err: error, projectId },
        'there is no room aside for an event that is handled once more; it waits in hand',
      );
      revisited.set(work, momentOf(clock));
    });
  }

  /** The oldest are first. */
  function judgeSettled(): void {
    for (const [work, since] of revisited) {
      if (leastSince(clock, since) < 1000 * options.lateWriteSeconds) return;
      revisited.delete(work);
      if (!work.held.isOpen()) continue;
      work.held.settle();
      judge(work);
    }
  }

  return {
    handle,
    park,
    revisit,
    admit(works) {
      let copying = false;
      const admitted = works.filter((work) => {
        const decision = decide(work);
        copying ||= decision === 'copying';
        return decision !== 'gone';
      });
      return { works: admitted, copying };
    },
    async run(signal) {
      for (;;) {
        judgeSettled();
        if (undecided.size + foreign.length === 0) {
          await clock.sleep(HELD_BACK_LOOK_MS, signal);
          continue;
        }
        await migrations.refresh(signal);
        const waited = [...undecided];
        undecided.clear();
        for (const work of waited) judge(work);
        // Core may take its time; what is decided by the view does not wait for it.
        void settleForeign();
      }
    },
  };
}
