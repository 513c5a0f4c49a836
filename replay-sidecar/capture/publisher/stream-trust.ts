import { isStreamMissing } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Spool } from '../spool/spool.ts';
import type { Acknowledgement } from './acknowledgements.ts';

export interface StreamTrustOptions {
  spool: Pick<Spool, 'observeStream' | 'observeLoss' | 'observeAnswer' | 'observeDoubt'>;
  clock: Clock;
  logger: Logger;
  apiPrefix: string | undefined;
  rewindIntervalMs: number;
}

/**
 * Whether the stream still has what it acknowledged.
 *
 * An acknowledgement is no promise: NATS forces its files to the disk every two minutes by default, so a server that
 * goes down may take acknowledged messages with it. Whenever that could have happened (a reconnect, no answer, no
 * stream, sequence numbers that were given out before) there is a doubt, until everything that is still in the spool is
 * published again.
 */
export class StreamTrust {
  private readonly options: StreamTrustOptions;
  private isDoubted = false;
  private lastRewindAt = Number.NEGATIVE_INFINITY;
  private lastSequence = 0;

  constructor(options: StreamTrustOptions) {
    this.options = options;
  }

  /** The highest sequence that is known. */
  get highest(): number {
    return this.lastSequence;
  }

  /** @param before the highest sequence known when the message was sent: its own must be higher */
  observeAnswer({ sequence, duplicate }: Acknowledgement, before: number): void {
    // A duplicate has the first one's sequence, which proves that the stream still knows it.
    if (!duplicate) {
      if (sequence <= before && sequence < this.lastSequence) {
        this.loseFrom(sequence);
        this.doubt();
      }
      this.lastSequence = Math.max(this.lastSequence, sequence);
    }
    if (!this.isDoubted) this.options.spool.observeAnswer();
  }

  /** Everything in the spool is published again before any of it may go. */
  doubt(): void {
    this.isDoubted = true;
    this.options.spool.observeDoubt();
  }

  /** If there is a doubt, and the last one was settled long enough ago, has everything published again. */
  async settle(connection: NatsConnection, rewind: () => void): Promise<void> {
    const { clock, rewindIntervalMs } = this.options;
    if (!this.isDoubted || clock.monotonic() - this.lastRewindAt < rewindIntervalMs) return;
    this.isDoubted = false;
    await this.inspect(connection);
    this.lastRewindAt = clock.monotonic();
    rewind();
  }

  /** Checks which stream it is, and up to where it has messages. */
  async inspect(connection: NatsConnection): Promise<void> {
    const { spool, logger, apiPrefix } = this.options;
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, ...(apiPrefix && { apiPrefix }) });
      const { created, state } = await manager.streams.info(STREAM);
      spool.observeStream(created);
      this.loseFrom(state.last_seq + 1);
    } catch (error) {
      // Sequence numbers still show most losses. A missing stream shows with the next publish.
      if (!isStreamMissing(error)) logger.warn({ err: error }, 'the stream cannot be inspected');
    }
  }

  /** The stream has nothing from this sequence on. A new process learns it, too: the spool knows what it relies on. */
  private loseFrom(sequence: number): void {
    const { spool, logger } = this.options;
    const { lastSequence } = this;
    spool.observeLoss(sequence);
    if (sequence > lastSequence) return;
    logger.warn({ sequence, lastSequence }, 'the stream lost acknowledged events');
    this.lastSequence = sequence;
  }
}
