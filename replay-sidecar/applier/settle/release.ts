import type { ParkedSubject } from '@edge-migration/contract/parked-place.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, readStored } from '@edge-migration/contract/streams/events.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { JetStreamClient, JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import type { MigrationView } from '../admit/migrations.ts';
import {
  isDoubted,
  isRecheck,
  keepHeaders,
  keepRecheck,
  markDoubted,
  markListing,
  markTried,
} from '../consume/delivery.ts';
import type { Witness } from '../consume/witness.ts';
import type { Ages } from './ages.ts';
import { batchOf, isReleasable, isUnresolved } from './place.ts';
import type { Removals } from './removals.ts';

/** The parts of a released event's place that matter. */
type Released = Pick<ParkedSubject, 'projectId' | 'reason' | 'identity'>;

/** Parked events come back only while the stream is short, so that others need not wait behind them. */
const SHORT_STREAM = 2000;

export interface ReleaseOptions {
  client: Pick<JetStreamClient, 'publish'>;
  migrations: MigrationView;
  /** Undelivered messages in the stream of events, as far as known. */
  pending(): number;
  /** How many more events of a project may be in flight. */
  roomFor(projectId: number): number;
  /** Of the parking stream's messages: when writes sent for them must have arrived, and when rechecks may be made. */
  ages: { readonly late: Pick<Ages, 'lastOld'>; readonly rechecks: Pick<Ages, 'lastOld'> };
  removals: Pick<Removals, 'remove'>;
  /** Of the stream of events. */
  witness: Pick<Witness, 'publishing'>;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  logger: Logger;
}

/** Brings events back into the stream of events. */
export class Release {
  private readonly options: ReleaseOptions;

  constructor(options: ReleaseOptions) {
    this.options = options;
  }

  /** Whether anything may go on at all now. */
  isOpen(): boolean {
    const { pending, migrations } = this.options;
    return pending() < SHORT_STREAM && migrations.isConfirmed();
  }

  /** Releases everything of one place that may go on. @returns how many events went on */
  async releaseAll(
    manager: JetStreamManager,
    subject: string,
    place: ParkedSubject,
    signal: AbortSignal,
  ): Promise<number> {
    const { migrations, roomFor, now, logger } = this.options;
    // An event that comes back and finds no room would be parked again.
    const most = place.reason === 'overflow' ? Math.floor(roomFor(place.projectId)) : Number.POSITIVE_INFINITY;
    let released = 0;
    while (released < most && this.isOpen() && isReleasable(place, migrations, now())) {
      signal.throwIfAborted();
      const wanted = Math.min(batchOf(place), most - released);
      const count = await this.releaseBatch(manager, subject, place, wanted);
      released += count;
      if (count < wanted) break;
    }
    const level = place.reason === 'overflow' || place.reason === 'unstorable' ? 'debug' : 'info';
    if (released > 0)
      logger[level]({ projectId: place.projectId, reason: place.reason, events: released }, 'events go on');
    return released;
  }

  /** Releases the oldest of a place. @returns how many went on */
  async releaseBatch(manager: JetStreamManager, subject: string, place: Released, size: number): Promise<number> {
    const { removals } = this.options;
    const stored = await Array.fromAsync(readStored(manager, PARKING_STREAM, { subject, most: size }));
    const young = stored.findIndex((message) => this.isYoung(message, place));
    // A place is removed up to a sequence, so what comes after it waits with it.
    const messages = young < 0 ? stored : stored.slice(0, young);
    const last = messages.at(-1);
    if (last === undefined) return 0;
    await Promise.all(messages.map((message) => this.publish(message, place)));
    await removals.remove(manager, subject, last.seq, messages.length);
    return messages.length;
  }

  /**
   * Whether it has not waited as long as it must by this process's own clocks: that of the stream, by which it is due,
   * may have been set forward, or another process may know it to be further ahead (docs/design.md, "Time").
   */
  private isYoung({ seq, subject, header }: StoredMsg, { reason }: Released): boolean {
    const { late, rechecks } = this.options.ages;
    if (reason === 'late') return seq > late.lastOld();
    return isRecheck({ subject, headers: header }) && seq > rechecks.lastOld();
  }

  /** With the event's own id it would pass for a duplicate of its first coming. */
  private async publish(message: StoredMsg, { projectId, reason, identity }: Released): Promise<void> {
    const { client, witness } = this.options;
    const msgID = `released-${message.seq}-${message.timestamp}`;
    const fields = keepHeaders({ subject: message.subject, time: message.time, headers: message.header });
    if (identity !== undefined) markListing(fields);
    if (isUnresolved({ projectId, reason })) markTried(fields);
    const carrier = { subject: message.subject, headers: message.header };
    keepRecheck(carrier, fields);
    // Any write sent for it has arrived by now.
    if (reason !== 'late' && isDoubted(carrier)) markDoubted(fields);
    const check = witness.publishing();
    check(await client.publish(derivedSubject(projectId), message.data, { msgID, headers: fields }));
  }
}
