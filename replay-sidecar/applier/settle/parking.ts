import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { parsePlace, type UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { manage, PARKING_STREAM, PARKING_SUBJECTS } from '@edge-migration/contract/streams/applier.ts';
import { readStored } from '@edge-migration/contract/streams/events.ts';
import { streamStateOf } from '@edge-migration/contract/streams/watermark.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { PARKING_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { MigrationView } from '../admit/migrations.ts';
import type { Witness } from '../consume/witness.ts';
import { type Ages, createAges } from './ages.ts';
import { followRetries } from './follow-retries.ts';
import { isDropped, isGivenUp } from './given-up.ts';
import { createIntake } from './intake.ts';
import { isUnresolved } from './place.ts';
import { createQuota, type Quota, type QuotaLimits } from './quota.ts';
import { Release } from './release.ts';
import type { Removals } from './removals.ts';
import { createRetries } from './unstorable.ts';

/** Events that are unreadable or whose project is unknown. */
const UNRESOLVED = 'identity.parked.0.poison.>';
const UNRESOLVED_BATCH = 256;
/** Identities that Edge cannot hold and one check retries: events parked for other reasons must not wait for them. */
const MOST_RETRIES = 64;
/** As many go on at once on request. */
const MOST_WANTED = 10_000;

export interface ParkingOptions extends QuotaLimits {
  connection: NatsConnection;
  migrations: MigrationView;
  /** Undelivered messages in the stream of events, as far as known. */
  pending(): number;
  /** How many more events of a project may be in flight. */
  roomFor(projectId: number): number;
  /** Interval for retrying what Edge could not hold. */
  unstorableRetrySeconds: number;
  /** Interval for resolving unknown projects again, which a new `spec.retry` of any project also triggers. */
  unknownRetrySeconds: number;
  /** Seconds after which an event parked as `late` is handled again. */
  lateWriteSeconds: number;
  /** Milliseconds after which a write on tables of several regions is rechecked, at the earliest. */
  recheckDelayMs: number;
  /** For the stream of events, and for the parking stream. */
  witnesses: { readonly events: Pick<Witness, 'publishing'>; readonly parked: Pick<Witness, 'observe' | 'publishing'> };
  removals: Removals;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  clock: Clock;
  logger: Logger;
}

/** Keeps events parked until they may go on. */
export class Parking {
  /**
   * Parks an event; once this resolves it is stored, and the stream of events may forget it.
   *
   * @throws when the parking stream refuses it or does not answer
   */
  readonly park: ReturnType<typeof createIntake>;
  private readonly options: ParkingOptions;
  private readonly unstorable: ReturnType<typeof createRetries>;
  private readonly ages: { readonly late: Ages; readonly rechecks: Ages };
  private readonly quota: Quota;
  private readonly release: Release;
  private places = new Map<string, number>();
  private isWanted = false;
  private isTime = false;

  constructor(options: ParkingOptions) {
    const { connection, migrations, pending, roomFor, witnesses, removals, now, clock, logger } = options;
    const client = jetstream(connection);
    this.options = options;
    this.unstorable = createRetries(options.unstorableRetrySeconds * 1000, clock);
    this.ages = {
      late: createAges(clock, 1000 * options.lateWriteSeconds),
      rechecks: createAges(clock, options.recheckDelayMs),
    };
    this.quota = createQuota(options);
    this.park = createIntake({ client, migrations, quota: this.quota, witness: witnesses.parked, logger });
    this.release = new Release({
      ...{ client, migrations, pending, roomFor, ages: this.ages, removals, now, logger },
      witness: witnesses.events,
    });
  }

  /** Number of events by place, at the last check. */
  get parked(): ReadonlyMap<string, number> {
    return this.places;
  }

  /** Whether events of this identity wait because Edge cannot hold it, at the last check. */
  isListed(projectId: number, identity: Omit<UnstorableIdentity, 'cause'>): boolean {
    return this.unstorable.subjectsOf(projectId, identity).length > 0;
  }

  /** Edge can hold the identity now: its waiting events are retried at once. */
  wake(projectId: number, identity: Omit<UnstorableIdentity, 'cause'>): void {
    this.unstorable.wake(projectId, identity);
  }

  /** Whether something goes on as soon as the view of the EdgeMigrations is confirmed. */
  needsView(): boolean {
    return this.isTime;
  }

  /** Brings events back when they may go on. Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    const { connection, migrations, clock, logger } = this.options;
    const manager = await manage(connection);
    let failing = false;
    using _ = followRetries(migrations, () => {
      this.isWanted = true;
    });
    for (;;) {
      let released = 0;
      try {
        if (!connection.isClosed()) released = await this.releaseDue(manager, signal);
        failing = false;
      } catch (error) {
        signal.throwIfAborted();
        if (!failing) logger.warn({ err: error }, 'parked events cannot be read');
        failing = true;
      }
      await clock.sleep(released > 0 ? PARKING_POLL_MS.busy : PARKING_POLL_MS.idle, signal);
    }
  }

  /** Number of events that went on; those that are only retried do not count. */
  private async releaseDue(manager: JetStreamManager, signal: AbortSignal): Promise<number> {
    const { witnesses, removals, clock } = this.options;
    this.quota.begin();
    const asked = momentOf(clock);
    const info = await manager.streams.info(PARKING_STREAM, { subjects_filter: PARKING_SUBJECTS });
    const { state } = info;
    witnesses.parked.observe(streamStateOf(info, asked, clock));
    await removals.tell(info.created);
    this.places = new Map(Object.entries(state.subjects ?? {}));
    for (const ages of Object.values(this.ages)) ages.notice(state.last_seq);
    this.unstorable.notice(this.places.keys());
    this.quota.notice(this.places);
    await this.dropGivenUp(manager, state.last_seq, signal);
    await this.retryUnresolved(manager);
    const released = await this.releasePlaces(manager, signal);
    await this.retryUnstorable(manager, signal);
    return released;
  }

  private async releasePlaces(manager: JetStreamManager, signal: AbortSignal): Promise<number> {
    const { now } = this.options;
    let released = 0;
    let isTime = false;
    for (const subject of this.places.keys()) {
      const place = parsePlace(subject);
      if (place === undefined || place.identity !== undefined || isUnresolved(place)) continue;
      isTime ||= place.reason === 'late' || (place.due !== undefined && now() >= place.due * 1000);
      released += await this.release.releaseAll(manager, subject, place, signal);
    }
    this.isTime = isTime;
    return released;
  }

  private async retryUnstorable(manager: JetStreamManager, signal: AbortSignal): Promise<void> {
    const { release, unstorable } = this;
    const due = release.isOpen() ? unstorable.findDue(MOST_RETRIES) : [];
    await Promise.all(due.map((subject) => release.releaseAll(manager, subject, parsePlace(subject)!, signal)));
    // Also those that may not go on now, such as a suspended project's: others have their turn.
    for (const subject of due) unstorable.tried(subject);
  }

  /** Core may answer differently later, and another release may read what this one cannot. */
  private async retryUnresolved(manager: JetStreamManager): Promise<void> {
    const { now, unknownRetrySeconds } = this.options;
    if (!this.release.isOpen()) return;
    const [oldest] = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject: UNRESOLVED, most: 1 }));
    const isDue = oldest !== undefined && now() - oldest.time.getTime() >= unknownRetrySeconds * 1000;
    const size = this.isWanted ? MOST_WANTED : UNRESOLVED_BATCH;
    if (isDue || this.isWanted)
      await this.release.releaseBatch(manager, UNRESOLVED, { projectId: 0, reason: 'poison' }, size);
    this.isWanted = false;
  }

  /** Drops what no EdgeMigration waits for any more, by a view that was listed after it was parked. */
  private async dropGivenUp(manager: JetStreamManager, lastSequence: number, signal: AbortSignal): Promise<void> {
    const { migrations, removals, logger } = this.options;
    const { places } = this;
    if (!migrations.isConfirmed() || !findGivenUp(places.keys(), migrations).next().value) return;
    await migrations.refresh(signal);
    for (const { subject, place } of [...findGivenUp(places.keys(), migrations)]) {
      const events = places.get(subject) ?? 0;
      await removals.remove(manager, subject, lastSequence, events);
      const { projectId, reason } = place;
      logger.info({ projectId, reason, events }, 'dropped parked events');
      places.delete(subject);
    }
    // Their room is free for others at once.
    this.quota.notice(places);
  }
}

/** Places of events that no EdgeMigration waits for any more. */
function* findGivenUp(subjects: Iterable<string>, migrations: MigrationView) {
  let all: readonly EdgeMigration[] | undefined;
  for (const subject of subjects) {
    const place = parsePlace(subject);
    if (place?.reason !== 'poison' && place?.reason !== 'excess') continue;
    all ??= migrations.all();
    const own = migrations.find(place.projectId);
    const isGone = place.projectId === 0 ? isGivenUp(place, all) : own !== undefined && isDropped(place, own);
    const isOver = place.reason === 'excess' && place.projectId !== 0 && isGivenUp(place, own ? [own] : []);
    if (isGone || isOver) yield { subject, place };
  }
}
