import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { type JetStreamManager, jetstream, type StoredMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { anewSubject, readStored } from '../stream.ts';
import { createAges } from './ages.ts';
import type { Held } from './inbox.ts';
import type { Migrations } from './migrations.ts';
import {
  isReleasable,
  NO_RETRY,
  type ParkReason,
  type Place,
  parsePlace,
  placeSubject,
  retryOf,
  type UnstorableIdentity,
} from './place.ts';
import { manage, PARKING_STREAM, PARKING_SUBJECTS } from './streams.ts';
import { createRetries } from './unstorable.ts';
import { isDoubted, keepHeaders, markDoubted, markListing } from './work.ts';

const REASON_HEADER = 'Edge-Migration-Reason';
/** As many characters as anyone reads. */
const MAX_REASON_CHARACTERS = 500;
const BATCH = 256;
/** Identities that Edge cannot hold and that one look tries again: what waits for other reasons must not wait for them. */
const MOST_RETRIES = 64;
const LOOK_MILLIS = 2000;
/** While events come back as there is room for them, it is freed within moments. */
const LOOK_SOON_MILLIS = 100;
/** Parked events come back only while the stream is short, so that others need not wait behind them. */
const SHORT_STREAM = 2000;

/** What there is to say of an event that is put aside. */
export interface ParkDetails extends Pick<Place, 'identity' | 'due'> {
  /** Why, for people. */
  readonly detail?: string | undefined;
}

export interface Parking {
  /**
   * Puts an event aside; once this resolves it is stored, and the stream of events may forget it.
   *
   * @throws when the parking stream refuses it or does not answer
   */
  park(
    held: Pick<Held, 'message' | 'isDoubtful'>,
    projectId: number,
    reason: ParkReason,
    more?: ParkDetails,
  ): Promise<void>;
  /** Whether events of this identity wait because Edge cannot hold it, as last seen. */
  isListed(projectId: number, identity: Omit<UnstorableIdentity, 'cause'>): boolean;
  /** Edge can hold the identity now: what waits of it is tried again at once. */
  wake(projectId: number, identity: Omit<UnstorableIdentity, 'cause'>): void;
  /** Brings events back when they may go on. Rejects with the signal's reason. */
  run(signal: AbortSignal): Promise<never>;
  /** Whether something goes on as soon as the view of the EdgeMigrations is confirmed. */
  needsView(): boolean;
  /** Number of events by place, as last seen. */
  readonly parked: ReadonlyMap<string, number>;
}

export interface ParkingOptions {
  connection: NatsConnection;
  migrations: Migrations;
  /** Undelivered messages in the stream of events, as far as known. */
  pending(): number;
  /** How many more events of a project may be in hand. */
  roomFor(projectId: number): number;
  /** After so long what Edge could not hold is tried again. */
  unstorableRetrySeconds: number;
  /** After so long it is asked again which project an event is of. */
  unknownRetrySeconds: number;
  /** What is `late` is handled once more after so long. */
  lateWriteSeconds: number;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  clock: Clock;
  log: Logger;
}

export function createParking(options: ParkingOptions): Parking {
  const { connection, migrations, pending, roomFor, clock, log } = options;
  const client = jetstream(connection);
  const unstorable = createRetries(options.unstorableRetrySeconds * 1000, clock);
  const ages = createAges(clock);
  let parked: ReadonlyMap<string, number> = new Map();
  let needsView = false;

  const mayRelease = () => pending() < SHORT_STREAM && migrations.isConfirmed();

  /** Number of events that went on; those that are only tried again do not count. */
  async function look(manager: JetStreamManager, signal: AbortSignal): Promise<number> {
    const { state } = await manager.streams.info(PARKING_STREAM, { subjects_filter: PARKING_SUBJECTS });
    parked = new Map(Object.entries(state.subjects ?? {}));
    ages.notice(state.last_seq);
    unstorable.notice(parked.keys());
    let released = 0;
    let isTime = false;
    for (const subject of parked.keys()) {
      const place = parsePlace(subject);
      if (place === undefined || place.identity !== undefined) continue;
      isTime ||= place.reason === 'late' || (place.due !== undefined && options.now() >= place.due * 1000);
      if (place.projectId === 0 && place.reason === 'poison') await retryUnknown(manager, subject, place);
      else released += await releaseAll(manager, subject, place, signal);
    }
    needsView = isTime;
    const due = mayRelease() ? unstorable.findDue(MOST_RETRIES) : [];
    await Promise.all(due.map((subject) => releaseAll(manager, subject, parsePlace(subject)!, signal)));
    // Also those that may not go on now, such as a suspended project's: it is the turn of others.
    for (const subject of due) unstorable.tried(subject);
    return released;
  }

  /** Core may have another answer later, and another release may read what this one cannot. */
  async function retryUnknown(manager: JetStreamManager, subject: string, place: Place): Promise<void> {
    if (!mayRelease()) return;
    const [oldest] = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject, most: 1 }));
    const isDue = oldest !== undefined && options.now() - oldest.time.getTime() >= options.unknownRetrySeconds * 1000;
    if (isDue) await releaseBatch(manager, subject, place, BATCH);
  }

  async function releaseAll(
    manager: JetStreamManager,
    subject: string,
    place: Place,
    signal: AbortSignal,
  ): Promise<number> {
    // What comes back to find no room would go aside once more.
    const most = place.reason === 'overflow' ? Math.floor(roomFor(place.projectId)) : Number.POSITIVE_INFINITY;
    let released = 0;
    while (released < most && mayRelease() && isReleasable(place, migrations, options.now())) {
      signal.throwIfAborted();
      const wanted = Math.min(BATCH, most - released);
      const count = await releaseBatch(manager, subject, place, wanted);
      released += count;
      if (count < wanted) break;
    }
    const level = place.reason === 'overflow' || place.reason === 'unstorable' ? 'debug' : 'info';
    if (released > 0)
      log[level]({ projectId: place.projectId, reason: place.reason, events: released }, 'Events go on');
    return released;
  }

  async function releaseBatch(manager: JetStreamManager, subject: string, place: Place, size: number) {
    const stored = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject, most: size }));
    const isLate = place.reason === 'late';
    const until = isLate ? ages.lastBefore(1000 * options.lateWriteSeconds) : Number.POSITIVE_INFINITY;
    const messages = stored.filter(({ seq }) => seq <= until);
    const last = messages.at(-1);
    if (last === undefined) return 0;
    await Promise.all(messages.map((message) => publish(message, place)));
    await manager.streams.purge(PARKING_STREAM, { filter: subject, seq: last.seq + 1 });
    return messages.length;
  }

  /** The id of the event itself would be taken for a duplicate of its first coming. */
  function publish(message: StoredMsg, { projectId, reason, identity }: Place): Promise<unknown> {
    const msgID = `released-${message.seq}-${message.timestamp}`;
    const fields = keepHeaders({ subject: message.subject, time: message.time, headers: message.header });
    if (identity !== undefined) markListing(fields);
    // Whatever was sent for it has arrived by now.
    if (reason !== 'late' && isDoubted({ subject: message.subject, headers: message.header })) markDoubted(fields);
    return client.publish(anewSubject(projectId), message.data, { msgID, headers: fields });
  }

  return {
    get parked() {
      return parked;
    },
    isListed: (projectId, identity) => unstorable.subjectsOf(projectId, identity).length > 0,
    needsView: () => needsView,
    wake: (projectId, identity) => unstorable.wake(projectId, identity),
    async park(held, projectId, reason, { detail, ...more } = {}) {
      const { message } = held;
      const retry = reason === 'poison' ? retryOf(migrations, projectId) : NO_RETRY;
      const fields = keepHeaders(message);
      if (held.isDoubtful()) markDoubted(fields);
      if (detail !== undefined) fields.set(REASON_HEADER, printable(detail));
      // Unique to this message of the stream: the event may come back, and be parked once more.
      const msgID = `parked-${message.seq}-${message.timestampNanos}`;
      const place = placeSubject({ projectId, reason, retry, ...more });
      await client.publish(place, message.data, { msgID, headers: fields });
    },
    async run(signal) {
      const manager = await manage(connection);
      let failing = false;
      for (;;) {
        let released = 0;
        try {
          if (!connection.isClosed()) released = await look(manager, signal);
          failing = false;
        } catch (error) {
          signal.throwIfAborted();
          if (!failing) log.warn({ err: error }, 'Parked events cannot be looked at');
          failing = true;
        }
        await clock.sleep(released > 0 ? LOOK_SOON_MILLIS : LOOK_MILLIS, signal);
      }
    },
  };
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_CHARACTERS);
}
