import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import {
  MINUTE_MS,
  NO_RETRY,
  type ParkReason,
  type Place,
  parsePlace,
  placeSubject,
  REASON_HEADER,
  type UnstorableIdentity,
} from '@edge-migration/contract/parked-place.ts';
import { manage, PARKING_STREAM, PARKING_SUBJECTS } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, readStored } from '@edge-migration/contract/streams/events.ts';
import { stateOf } from '@edge-migration/contract/streams/watermark.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { PARKING_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  type StoredMsg,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Migrations } from '../admit/migrations.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import {
  findHeldIn,
  isDoubted,
  isListing,
  isLook,
  isTried,
  keepHeaders,
  markDoubted,
  markListing,
  markLook,
  markTried,
  storedTime,
} from '../consume/delivery.ts';
import type { Witness } from '../consume/witness.ts';
import { createAges } from './ages.ts';
import { isDropped, isGivenUp } from './given-up.ts';
import { batchOf, isReleasable, retryOf } from './place.ts';
import { createQuota, kibOf, type QuotaLimits } from './quota.ts';
import type { Removals } from './removals.ts';
import { createRetries } from './unstorable.ts';

/** Which places of a released event matter. */
type Released = Pick<Place, 'projectId' | 'reason' | 'identity'>;

/** Events of which nobody can tell the project, or which cannot be read. */
const UNRESOLVED = 'identity.parked.0.poison.>';
/** As many characters as anyone reads. */
const MAX_REASON_CHARACTERS = 500;
const UNRESOLVED_BATCH = 256;
/** Identities that Edge cannot hold and that one look tries again: what waits for other reasons must not wait for them. */
const MOST_RETRIES = 64;
/** As many go on at once when somebody asks for it. */
const MOST_WANTED = 10_000;
/** Parked events come back only while the stream is short, so that others need not wait behind them. */
const SHORT_STREAM = 2000;

/** What there is to say of an event that is put aside. */
export interface ParkDetails extends Pick<Place, 'identity' | 'due'> {
  /** Why, for people. */
  readonly detail?: string | undefined;
  /** It is looked at again, no more. */
  readonly look?: true | undefined;
  /** The region that an earlier look has found to be right, where another one was not. */
  readonly heldIn?: string | undefined;
  /** When the event's request began, milliseconds since the epoch; undefined when the event cannot be read. */
  readonly began?: number | undefined;
}

export interface Parking {
  /**
   * Puts an event aside; once this resolves it is stored, and the stream of events may forget it.
   *
   * @throws when the parking stream refuses it or does not answer
   */
  park(
    held: Pick<InFlightMessage, 'message' | 'isDoubtful'>,
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

export interface ParkingOptions extends QuotaLimits {
  connection: NatsConnection;
  migrations: Migrations;
  /** Undelivered messages in the stream of events, as far as known. */
  pending(): number;
  /** How many more events of a project may be in hand. */
  roomFor(projectId: number): number;
  /** After so long what Edge could not hold is tried again. */
  unstorableRetrySeconds: number;
  /** After so long, or with a new `spec.retry` of any project, it is asked again which project an event is of. */
  unknownRetrySeconds: number;
  /** What is `late` is handled once more after so long. */
  lateWriteSeconds: number;
  /** Of the stream of events, and of the parking stream. */
  witnesses: { readonly events: Pick<Witness, 'publishing'>; readonly parked: Pick<Witness, 'look' | 'publishing'> };
  removals: Removals;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  clock: Clock;
  logger: Logger;
}

export function createParking(options: ParkingOptions): Parking {
  const { connection, migrations, pending, roomFor, witnesses, removals, clock, logger } = options;
  const client = jetstream(connection);
  const unstorable = createRetries(options.unstorableRetrySeconds * 1000, clock);
  const ages = createAges(clock, 1000 * options.lateWriteSeconds);
  const quota = createQuota(options);
  let parked = new Map<string, number>();
  let isWanted = false;
  let needsView = false;

  const mayRelease = () => pending() < SHORT_STREAM && migrations.isConfirmed();

  /** Number of events that went on; those that are only tried again do not count. */
  async function look(manager: JetStreamManager, signal: AbortSignal): Promise<number> {
    quota.begin();
    const asked = momentOf(clock);
    const info = await manager.streams.info(PARKING_STREAM, { subjects_filter: PARKING_SUBJECTS });
    const { state } = info;
    witnesses.parked.look(stateOf(info, asked, clock));
    await removals.tell(info.created);
    parked = new Map(Object.entries(state.subjects ?? {}));
    ages.notice(state.last_seq);
    unstorable.notice(parked.keys());
    quota.notice(parked);
    await dropGivenUp(manager, state.last_seq, signal);
    await retryUnresolved(manager);
    let released = 0;
    let isTime = false;
    for (const subject of parked.keys()) {
      const place = parsePlace(subject);
      if (place === undefined || place.identity !== undefined || isUnresolved(place)) continue;
      isTime ||= place.reason === 'late' || (place.due !== undefined && options.now() >= place.due * 1000);
      released += await releaseAll(manager, subject, place, signal);
    }
    needsView = isTime;
    const due = mayRelease() ? unstorable.findDue(MOST_RETRIES) : [];
    await Promise.all(due.map((subject) => releaseAll(manager, subject, parsePlace(subject)!, signal)));
    // Also those that may not go on now, such as a suspended project's: it is the turn of others.
    for (const subject of due) unstorable.tried(subject);
    return released;
  }

  /** Core may have another answer later, and another release may read what this one cannot. */
  async function retryUnresolved(manager: JetStreamManager): Promise<void> {
    if (!mayRelease()) return;
    const [oldest] = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject: UNRESOLVED, most: 1 }));
    const isDue = oldest !== undefined && options.now() - oldest.time.getTime() >= options.unknownRetrySeconds * 1000;
    if (isDue || isWanted)
      await releaseBatch(
        manager,
        UNRESOLVED,
        { projectId: 0, reason: 'poison' },
        isWanted ? MOST_WANTED : UNRESOLVED_BATCH,
      );
    isWanted = false;
  }

  /** What no EdgeMigration waits for any more goes: on a view that was listed after it was put aside. */
  async function dropGivenUp(manager: JetStreamManager, lastSequence: number, signal: AbortSignal): Promise<void> {
    if (!migrations.isConfirmed() || !findGivenUp(parked.keys(), migrations).next().value) return;
    await migrations.refresh(signal);
    for (const { subject, place } of [...findGivenUp(parked.keys(), migrations)]) {
      await removals.remove(manager, subject, lastSequence, parked.get(subject) ?? 0);
      const { projectId, reason } = place;
      logger.info({ projectId, reason, events: parked.get(subject) }, 'events that wait aside are given up');
      parked.delete(subject);
    }
    // Their room is there for others at once.
    quota.notice(parked);
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
      const wanted = Math.min(batchOf(place), most - released);
      const count = await releaseBatch(manager, subject, place, wanted);
      released += count;
      if (count < wanted) break;
    }
    const level = place.reason === 'overflow' || place.reason === 'unstorable' ? 'debug' : 'info';
    if (released > 0)
      logger[level]({ projectId: place.projectId, reason: place.reason, events: released }, 'events go on');
    return released;
  }

  async function releaseBatch(manager: JetStreamManager, subject: string, place: Released, size: number) {
    const stored = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject, most: size }));
    const isLate = place.reason === 'late';
    const until = isLate ? ages.lastOld() : Number.POSITIVE_INFINITY;
    const messages = stored.filter(({ seq }) => seq <= until);
    const last = messages.at(-1);
    if (last === undefined) return 0;
    await Promise.all(messages.map((message) => publish(message, place)));
    await removals.remove(manager, subject, last.seq, messages.length);
    return messages.length;
  }

  /** The id of the event itself would be taken for a duplicate of its first coming. */
  async function publish(message: StoredMsg, { projectId, reason, identity }: Released): Promise<void> {
    const msgID = `released-${message.seq}-${message.timestamp}`;
    const fields = keepHeaders({ subject: message.subject, time: message.time, headers: message.header });
    if (identity !== undefined) markListing(fields);
    if (isUnresolved({ projectId, reason })) markTried(fields);
    const carrier = { subject: message.subject, headers: message.header };
    if (isLook(carrier)) markLook(fields, findHeldIn(carrier));
    // Whatever was sent for it has arrived by now.
    if (reason !== 'late' && isDoubted(carrier)) markDoubted(fields);
    const check = witnesses.events.publishing();
    check(await client.publish(derivedSubject(projectId), message.data, { msgID, headers: fields }));
  }

  /** One mark a minute stands for all: the operator makes a gap of it. */
  async function noteExcess(projectId: number, minute: number): Promise<void> {
    logger.warn({ projectId, minute }, 'there is no room for an event to wait aside: a gap tells of it');
    const expect = { lastSubjectSequence: 0 };
    const isThere = (error: unknown) =>
      error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence;
    const place = placeSubject({ projectId, reason: 'excess', retry: NO_RETRY, minute });
    const check = witnesses.parked.publishing();
    await client.publish(place, '', { expect }).then(check, (error: unknown) => {
      if (!isThere(error)) throw error;
    });
  }

  return {
    get parked() {
      return parked;
    },
    isListed: (projectId, identity) => unstorable.subjectsOf(projectId, identity).length > 0,
    needsView: () => needsView,
    wake: (projectId, identity) => unstorable.wake(projectId, identity),
    async park(held, projectId, reason, { detail, began, look, heldIn, ...more } = {}) {
      const { message } = held;
      const retry = reason === 'poison' ? retryOf(migrations, projectId) : NO_RETRY;
      const fields = keepHeaders(message);
      if (held.isDoubtful()) markDoubted(fields);
      if (look) markLook(fields, heldIn);
      else if (isLook(message) && isUnhandled(reason)) markLook(fields, findHeldIn(message));
      const minute = Math.floor((began ?? storedTime(message)) / MINUTE_MS);
      const isUnreadable = began === undefined;
      if (detail !== undefined) fields.set(REASON_HEADER, printable(detail));
      const place = { projectId, reason, retry, minute, isUnreadable, kib: kibOf(message.data.length), ...more };
      // What comes back from a try keeps its room, which the last look may still count.
      const hadRoom = isUnresolved(place) ? isTried(message) : isListing(message);
      if (!hadRoom && !quota.take(place)) return noteExcess(projectId, minute);
      // Unique to this message of the stream and the reason: the event may come back, and be parked once more.
      const msgID = `parked-${message.seq}-${message.timestampNanos}-${reason}`;
      const check = witnesses.parked.publishing();
      const stored = client.publish(placeSubject(place), message.data, { msgID, headers: fields });
      check(await stored.finally(() => hadRoom || quota.settle(place)));
    },
    async run(signal) {
      const manager = await manage(connection);
      let failing = false;
      using _ = followRetries(migrations, () => {
        isWanted = true;
      });
      for (;;) {
        let released = 0;
        try {
          if (!connection.isClosed()) released = await look(manager, signal);
          failing = false;
        } catch (error) {
          signal.throwIfAborted();
          if (!failing) logger.warn({ err: error }, 'parked events cannot be looked at');
          failing = true;
        }
        await clock.sleep(released > 0 ? PARKING_LOOK_MS.busy : PARKING_LOOK_MS.idle, signal);
      }
    },
  };
}

const UNHANDLED: readonly ParkReason[] = ['suspended', 'undecided', 'unreadable', 'overflow'];

/** What was to be looked at has not been, and goes on as a look. */
const isUnhandled = (reason: ParkReason): boolean => UNHANDLED.includes(reason);

const isUnresolved = ({ projectId, reason }: Pick<Place, 'projectId' | 'reason'>): boolean =>
  projectId === 0 && reason === 'poison';

/** Places of events that no EdgeMigration waits for any more. */
function* findGivenUp(subjects: Iterable<string>, migrations: Migrations) {
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

/** Calls back when the `spec.retry` of an EdgeMigration becomes another one that asks for a try. */
export function followRetries(
  migrations: Pick<Migrations, 'all' | 'find' | 'subscribe'>,
  onChange: () => void,
): Disposable & { readonly size: number } {
  const known = new Map(migrations.all().map(({ spec }) => [spec?.projectId ?? 0, spec?.retry]));
  const stop = migrations.subscribe((projectId) => {
    const migration = migrations.find(projectId);
    const retry = migration?.spec?.retry;
    const isNew = known.has(projectId) && known.get(projectId) !== retry;
    if (isNew && retry !== undefined && !isDropToken(retry)) onChange();
    if (migration === undefined) known.delete(projectId);
    else known.set(projectId, retry);
  });
  return {
    get size() {
      return known.size;
    },
    [Symbol.dispose]: stop,
  };
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_CHARACTERS);
}
