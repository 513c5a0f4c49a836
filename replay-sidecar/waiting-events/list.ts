import { MINUTE_MS, parsePlace, REASON_HEADER } from '@edge-migration/contract/parked-place.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { readStored } from '@edge-migration/contract/streams/events.ts';
import { unmarkedEvent } from '@edge-migration/contract/write-event.ts';
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';

/** An event that does not go on by itself, for people; without identifiers and keys. */
export interface WaitingEvent {
  /** 0: unknown. */
  readonly projectId: number;
  /** When its request began, RFC 3339; undefined if unreadable. */
  readonly began: string | undefined;
  readonly why: string;
  readonly event: string | undefined;
  readonly route: string | undefined;
  /** Name of the sidecar. */
  readonly instance: string | undefined;
  readonly bytes: number;
}

/**
 * The events that failed repeatedly or whose project is unknown, in the order in which they were parked.
 *
 * @param most how many at most
 * @throws what the NATS client throws
 */
export async function listWaiting(manager: JetStreamManager, most: number): Promise<WaitingEvent[]> {
  const messages = await Array.fromAsync(
    readStored(manager, PARKING_STREAM, { subject: 'identity.parked.*.poison.>', most }),
  );
  return messages.map(describe);
}

function describe({ subject, data, header }: StoredMsg): WaitingEvent {
  const { projectId = 0, minute, isUnreadable } = parsePlace(subject) ?? {};
  const event = isUnreadable ? undefined : unmarkedEvent.safeParse(parse(data)).data;
  return {
    projectId,
    began: minute === undefined || isUnreadable ? undefined : new Date(minute * MINUTE_MS).toISOString(),
    why: header.get(REASON_HEADER),
    event: event?.id,
    route: event?.route,
    instance: event?.instance,
    bytes: data.length,
  };
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
