import type { ParkReason } from '@edge-migration/contract/parked-place.ts';
import { isProbe } from '@edge-migration/contract/streams/events.ts';
import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { HELD_BACK_POLL_MS, PARK_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import { type Delivery, findClientKey, readDelivery, UnreadableEventError, type Work } from '../consume/delivery.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import type { Renew } from '../consume/renewal.ts';
import type { Counts } from '../report/counts.ts';
import type { Resolution, Resolver } from '../resolve/resolver.ts';
import type { Spread } from '../resolve/spread.ts';
import type { ParkDetails } from '../settle/intake.ts';
import type { Parking } from '../settle/parking.ts';
import { ForeignMessages } from './foreign-messages.ts';
import type { MigrationView } from './migrations.ts';

/** An event to be parked; its start is unknown when it cannot be read. */
type Parked = Pick<Delivery, 'held'> & Partial<Pick<Delivery, 'began'>>;

export interface AdmissionOptions {
  migrations: MigrationView;
  resolver: Resolver;
  parking: Pick<Parking, 'park'>;
  counts: Counts;
  /** Publishes the parts of an event that spans several projects. Never rejects. */
  spread(delivery: Delivery, found: Spread): Promise<void>;
  /** Republishes an event that was delivered before as a message of its own. */
  renew: Renew;
  /** Accepts events that are to be applied. */
  enqueue(work: Work): void;
  /** Whether a project has as many events in flight as it may. */
  isFull(projectId: number): boolean;
  /** Seconds after which an event parked as `late` is handled again. */
  lateWriteSeconds: number;
  clock: Clock;
  logger: Logger;
}

/** From a message to a decision: which project is it about, and may it be applied? */
export class Admission {
  private readonly options: AdmissionOptions;
  private readonly undecided = new Set<Work>();
  private readonly foreign: ForeignMessages;
  /** Kept in flight until the writes sent for them must have arrived, with the time that wait began. */
  private readonly revisited = new Map<Work, Moment>();

  constructor(options: AdmissionOptions) {
    const { migrations, resolver, counts, logger } = options;
    this.options = options;
    this.foreign = new ForeignMessages({
      ...{ migrations, resolver, counts, logger },
      handle: (held) => this.handle(held),
    });
  }

  /** Takes charge of a message. */
  handle(held: InFlightMessage): void {
    const { resolver, migrations, counts, logger } = this.options;
    if (isProbe(held.message.subject)) {
      counts.ignored += 1;
      held.ack();
      return;
    }
    try {
      const clientKey = findClientKey(held.data);
      const projectId = clientKey === undefined ? undefined : resolver.peekProjectId(clientKey);
      if (clientKey !== undefined && projectId !== undefined && migrations.find(projectId) === undefined)
        this.foreign.add(held, clientKey, projectId);
      else this.begin(readDelivery(held));
    } catch (error) {
      if (!(error instanceof UnreadableEventError)) throw error;
      counts.unreadable += 1;
      logger.warn({ sequence: held.message.seq, problem: error.message }, 'a message is not a valid event; parked it');
      this.park({ held }, 0, 'poison', { detail: error.message });
    }
  }

  /** Judges what could not be judged yet, as soon as the view allows it. Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    const { migrations, clock } = this.options;
    for (;;) {
      this.judgeSettled();
      if (this.undecided.size + this.foreign.size === 0) {
        await clock.sleep(HELD_BACK_POLL_MS, signal);
        continue;
      }
      await migrations.refresh(signal);
      const waited = [...this.undecided];
      this.undecided.clear();
      for (const work of waited) this.judge(work);
      // Core may be slow; decisions that need only the view do not wait for it.
      void this.foreign.settle();
    }
  }

  /** Judges by the current view; events that may not be applied are dropped or parked. */
  admit(works: readonly Work[]): { works: readonly Work[]; copying: boolean } {
    let copying = false;
    const admitted = works.filter((work) => {
      const decision = this.decide(work);
      copying ||= decision === 'copying';
      return decision !== 'gone';
    });
    return { works: admitted, copying };
  }

  /** Parks an event; if that fails, it is delivered again. */
  park(delivery: Parked, projectId: number, reason: ParkReason, more?: ParkDetails): void {
    const { held } = delivery;
    this.store(delivery, projectId, reason, more).catch((error: unknown) => {
      if (held.isOpen())
        this.options.logger.warn({ err: error, projectId, reason }, 'an event cannot be parked; retrying later');
      held.nak(PARK_AGAIN_MS);
    });
  }

  /**
   * Has an event handled again once the writes sent for it must have arrived. Until then it is parked, or kept in flight
   * if there is no room: redelivered, it would be in doubt again, and the stream would never get shorter.
   */
  revisit(work: Work): void {
    const { clock, logger } = this.options;
    const { projectId } = work.resolution;
    this.store(work, projectId, 'late').catch((error: unknown) => {
      if (!work.held.isOpen()) return;
      logger.warn(
        { err: error, projectId },
        'no room in the parking stream for an event that is to be handled again; keeping it in memory',
      );
      this.revisited.set(work, momentOf(clock));
    });
  }

  private begin(delivery: Delivery): void {
    const resolution = this.options.resolver.peek(delivery.event);
    if (resolution !== undefined) this.take(delivery, resolution);
    else void this.resolve(delivery);
  }

  private async resolve(delivery: Delivery): Promise<void> {
    const { resolver, logger } = this.options;
    try {
      this.take(delivery, await resolver.resolve(delivery.event));
    } catch (error) {
      // Stopping gives everything back; any other error concerns this event alone.
      if (!delivery.held.isOpen()) return;
      logger.error({ err: error, eventId: delivery.event.id }, 'the target of an event cannot be resolved; parked it');
      this.park(delivery, 0, 'poison', { detail: String(error) });
    }
  }

  private take(delivery: Delivery, resolution: Resolution): void {
    switch (resolution.kind) {
      case 'nothing':
        this.options.counts.ignored += 1;
        delivery.held.ack();
        return;
      case 'spread':
        void this.options.spread(delivery, resolution);
        return;
      case 'unknown':
        this.park(delivery, 0, 'poison', { detail: resolution.why });
        return;
      default:
        this.judge({ ...delivery, resolution });
    }
  }

  private judge(work: Work): void {
    if (this.decide(work) === 'gone') return;
    const { projectId } = work.resolution;
    if (this.options.isFull(projectId)) this.park(work, projectId, 'overflow');
    else if (work.held.isShared() && work.resolution.kind === 'identity') void this.renew(work);
    else this.options.enqueue(work);
  }

  /** Where the stream has no room, the event is applied as it is: otherwise the stream would never get shorter. */
  private async renew(work: Work): Promise<void> {
    const { renew, enqueue, logger } = this.options;
    const { held, resolution, event } = work;
    try {
      await renew(held.message, resolution.projectId);
      held.ack();
    } catch (error) {
      if (!held.isOpen()) return;
      logger.warn({ err: error, eventId: event.id }, 'an event cannot be published again; applying it as it is');
      enqueue(work);
    }
  }

  /** When this returns, every event that is not to be applied has been dropped or is being parked. */
  private decide(work: Work): 'apply' | 'copying' | 'gone' {
    const { migrations, counts } = this.options;
    if (!migrations.isConfirmed()) return this.wait(work);
    const { projectId } = work.resolution;
    const verdict = migrations.judge(projectId, work.began);
    switch (verdict.kind) {
      case 'apply':
        return verdict.copying ? 'copying' : 'apply';
      case 'park':
        this.park(work, projectId, verdict.reason);
        return 'gone';
      case 'drop':
        if (work.held.delivered > migrations.listedAt()) return this.wait(work);
        if (verdict.reason === 'noMigration') counts.foreign += 1;
        else counts.of(projectId).dropped[verdict.reason] += 1;
        work.held.ack();
        return 'gone';
    }
  }

  private wait(work: Work): 'gone' {
    this.undecided.add(work);
    return 'gone';
  }

  private async store({ held, began }: Parked, projectId: number, reason: ParkReason, more?: ParkDetails) {
    const { parking, counts } = this.options;
    await parking.park(held, projectId, reason, { ...more, began });
    if (projectId !== 0) counts.of(projectId).parked[reason] += 1;
    held.ack();
  }

  /** The oldest come first. */
  private judgeSettled(): void {
    const { clock, lateWriteSeconds } = this.options;
    for (const [work, since] of this.revisited) {
      if (leastSince(clock, since) < 1000 * lateWriteSeconds) return;
      this.revisited.delete(work);
      if (!work.held.isOpen()) continue;
      work.held.settle();
      this.judge(work);
    }
  }
}
