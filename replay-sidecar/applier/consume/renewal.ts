import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import { type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { findHeldIn, isLook, isTried, keepHeaders, markDoubted, markLook, markTried } from './delivery.ts';
import type { Witness } from './witness.ts';

/**
 * Puts an event that was delivered before into the stream once more, as a message of its own; once this resolves the one
 * that was delivered may be acknowledged.
 *
 * NATS takes an answer for one to whatever delivery of the message is in hand when it arrives. One of the process that had
 * the event before, which is late in the network, would remove it while this one writes for it; were this one killed then,
 * nobody would handle the event again when that write has arrived.
 *
 * @throws when the stream refuses it or does not answer
 */
export type Renew = (message: JsMsg, projectId: number) => Promise<void>;

export function createRenewal(connection: NatsConnection, witness: Pick<Witness, 'publishing'>): Renew {
  const client = jetstream(connection);
  return async (message, projectId) => {
    const fields = keepHeaders(message);
    markDoubted(fields);
    if (isTried(message)) markTried(fields);
    if (isLook(message)) markLook(fields, findHeldIn(message));
    const check = witness.publishing();
    // Without an id: what was put there by another one may be handled already.
    check(await client.publish(derivedSubject(projectId), message.data, { headers: fields }));
  };
}
