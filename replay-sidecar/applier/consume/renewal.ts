import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import { type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isTried, keepHeaders, keepRecheck, markDoubted, markTried } from './delivery.ts';
import type { Witness } from './witness.ts';

/**
 * Publishes an event that was delivered before as a message of its own; once this resolves, the delivered one may be
 * acknowledged.
 *
 * NATS applies an answer to any delivery of the message that is in flight when it arrives. A late answer from the process
 * that had the event before would remove it while this one writes for it; if this one were killed then, no process
 * would handle the event again once that write has arrived.
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
    keepRecheck(message, fields);
    const check = witness.publishing();
    // Without an id: what another process published may be handled already.
    check(await client.publish(derivedSubject(projectId), message.data, { headers: fields }));
  };
}
