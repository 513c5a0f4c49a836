import type { JsMsg } from '@nats-io/jetstream';

/** The parts of a message that distinguish its deliveries. */
export type Delivered = Pick<JsMsg, 'seq' | 'timestampNanos' | 'redelivered'> & {
  readonly info: Pick<JsMsg['info'], 'deliveryCount'>;
};

/** Messages that this process naked while no write for it was unanswered. */
export interface OwnNaks {
  /**
   * @returns to be called once NATS has read it: an earlier delivery came because no answer had arrived in time, and
   * other processes will get it once NATS reads the nak
   */
  remember(message: Delivered): () => void;
  /**
   * Whether this delivery is the next one after that, by NATS' count: no other process had the message in between, so
   * none can have sent a write for it. Asked once for each delivery.
   */
  isNextDelivery(message: Delivered): boolean;
  /** The stream may restart its count from now on. */
  forget(): void;
  readonly size: number;
}

/** @param most that are remembered; the oldest go, and are in doubt when they come again */
export function createOwnNaks(most: number): OwnNaks {
  const counts = new Map<number, { readonly stored: bigint; readonly count: number; isRead: boolean }>();
  return {
    remember({ seq, timestampNanos, info }) {
      counts.delete(seq);
      const nak = { stored: timestampNanos, count: info.deliveryCount, isRead: false };
      counts.set(seq, nak);
      const [oldest] = counts.keys();
      if (counts.size > most && oldest !== undefined) counts.delete(oldest);
      return () => {
        nak.isRead = true;
      };
    },
    isNextDelivery({ seq, timestampNanos, info }) {
      const last = counts.get(seq);
      counts.delete(seq);
      return last?.isRead === true && last.stored === timestampNanos && info.deliveryCount === last.count + 1;
    },
    forget: () => counts.clear(),
    get size() {
      return counts.size;
    },
  };
}
