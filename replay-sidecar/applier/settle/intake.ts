import {
  MINUTE_MS,
  NO_RETRY,
  type ParkedSubject,
  type ParkReason,
  placeSubject,
  REASON_HEADER,
} from '@edge-migration/contract/parked-place.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import type { MigrationView } from '../admit/migrations.ts';
import {
  isListing,
  isTried,
  keepHeaders,
  keepRecheck,
  markDoubted,
  markRecheck,
  storedTime,
} from '../consume/delivery.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import type { Witness } from '../consume/witness.ts';
import { isUnresolved, retryOf } from './place.ts';
import { kibOf, type Quota } from './quota.ts';

/** As many characters as anyone reads. */
const MAX_REASON_CHARACTERS = 500;

/** Details of an event that is parked. */
export interface ParkDetails extends Pick<ParkedSubject, 'identity' | 'due'> {
  /** Why, for people. */
  readonly detail?: string | undefined;
  /** It is only rechecked. */
  readonly recheck?: true | undefined;
  /** The region that an earlier recheck found to be right, while another one was not. */
  readonly heldIn?: string | undefined;
  /** When the event was first applied, by the stream's clock. */
  readonly appliedTime?: number | undefined;
  /** When the event's request began, milliseconds since the epoch; undefined when the event cannot be read. */
  readonly began?: number | undefined;
}

export interface IntakeOptions {
  client: Pick<JetStreamClient, 'publish'>;
  migrations: MigrationView;
  quota: Pick<Quota, 'take' | 'settle'>;
  /** For the parking stream. */
  witness: Pick<Witness, 'publishing'>;
  logger: Logger;
}

/** Parks events. */
export function createIntake({ client, migrations, quota, witness, logger }: IntakeOptions) {
  /** One mark per minute stands for all: the operator makes a gap of it. */
  async function noteExcess(projectId: number, minute: number): Promise<void> {
    logger.warn({ projectId, minute }, 'no room in the parking stream for an event; a gap reports it');
    const expect = { lastSubjectSequence: 0 };
    const isThere = (error: unknown) =>
      error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence;
    const place = placeSubject({ projectId, reason: 'excess', retry: NO_RETRY, minute });
    const check = witness.publishing();
    await client.publish(place, '', { expect }).then(check, (error: unknown) => {
      if (!isThere(error)) throw error;
    });
  }

  /**
   * Once this resolves the event is stored, and the stream of events may forget it.
   *
   * @throws when the parking stream refuses it or does not answer
   */
  return async (
    held: Pick<InFlightMessage, 'message' | 'isDoubtful'>,
    projectId: number,
    reason: ParkReason,
    { detail, began, recheck, heldIn, appliedTime, ...more }: ParkDetails = {},
  ): Promise<void> => {
    const { message } = held;
    const retry = reason === 'poison' ? retryOf(migrations, projectId) : NO_RETRY;
    const fields = keepHeaders(message);
    if (held.isDoubtful()) markDoubted(fields);
    if (recheck) markRecheck(fields, heldIn, appliedTime);
    else if (isUnhandled(reason)) keepRecheck(message, fields);
    const stored = storedTime(message);
    // Comparisons rely on the minute of a repetition, and the clock of the event's sidecar may be ahead.
    const since = reason === 'repeat' ? Math.min(began ?? stored, stored) : (began ?? stored);
    const minute = Math.floor(since / MINUTE_MS);
    const isUnreadable = began === undefined;
    if (detail !== undefined) fields.set(REASON_HEADER, printable(detail));
    const place = { projectId, reason, retry, minute, isUnreadable, kib: kibOf(message.data.length), ...more };
    // An event back from a try keeps its room, which the last check may still count.
    const hadRoom = isUnresolved(place) ? isTried(message) : isListing(message);
    if (!hadRoom && !quota.take(place)) return noteExcess(projectId, minute);
    // Unique to this message of the stream and the reason: the event may come back and be parked again.
    const msgID = `parked-${message.seq}-${message.timestampNanos}-${reason}`;
    const check = witness.publishing();
    const storing = client.publish(placeSubject(place), message.data, { msgID, headers: fields });
    check(await storing.finally(() => hadRoom || quota.settle(place)));
  };
}

const UNHANDLED: readonly ParkReason[] = ['suspended', 'undecided', 'unreadable', 'overflow'];

/** Whether an event due for a recheck was parked before it, and so remains a recheck. */
const isUnhandled = (reason: ParkReason): boolean => UNHANDLED.includes(reason);

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_CHARACTERS);
}
