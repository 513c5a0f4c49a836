import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { STREAM } from '@edge-migration/identity/write-event.ts';
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  ensureStream,
  MAX_EVENTS_PER_SUBJECT,
  MAX_REPORT_BYTES,
  MAX_REPORTS,
  REPORTS_MAX_BYTES,
  type StreamDefinition,
} from '../stream.ts';

/** The durable consumer that all replicas share. */
export const CONSUMER = 'edge-applier';
/** Events that wait for their EdgeMigration, see parking.ts. */
export const PARKING_STREAM = 'IDENTITY_WRITES_PARKED';
const PARKED = 'identity.parked.';
export const PARKING_SUBJECTS = `${PARKED}>`;

/** Only appliers publish below it. */
export function isParked(subject: string): boolean {
  return subject.startsWith(PARKED);
}

/** The last report of each applier process, see report.ts. */
export const REPORT_STREAM = 'EDGE_REPLAY';
const REPORTS = 'replay.';
export const REPORT_SUBJECTS = `${REPORTS}>`;

/** @param process unique for each start of an applier; its counters begin at 0 */
export function reportSubject(process: string): string {
  return REPORTS + process.replaceAll('.', '-');
}

export interface ApplierStreamSettings {
  streamReplicas: number;
  parkedMaxBytes: number;
  ackWaitSeconds: number;
}

const nanos = (seconds: number) => seconds * 1e9;
/** Longer than the longest usual window, so that the sum over all reports stays a total. */
const REPORT_DAYS = 60;
/** An event with the headers that say why it waits. */
const MAX_PARKED_BYTES = 256 * 1024;

const RETRY_MILLIS = 1000;

/** As {@link ensureApplierStreams}, however long it takes. Rejects with the signal's reason. */
export async function awaitApplierStreams(
  connection: NatsConnection,
  settings: ApplierStreamSettings,
  { clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      return await ensureApplierStreams(await manage(connection), settings);
    } catch (error) {
      signal.throwIfAborted();
      if (failures === 0) log.warn({ err: error }, 'The streams are not ready; tried again until they are');
    }
    await clock.sleep(RETRY_MILLIS, signal);
  }
}

/** The JetStream API of a connection; it asks nothing yet. */
export function manage(connection: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false });
}

/**
 * Makes the consumer and the appliers' own streams, or brings them in line with the settings; idempotent.
 *
 * @throws StreamMismatchError, and JetStreamApiError while the stream of events is missing
 */
export async function ensureApplierStreams(manager: JetStreamManager, settings: ApplierStreamSettings): Promise<void> {
  await ensureStream(manager, parkingStream(settings));
  await ensureStream(manager, reportStream(settings));
  await ensureConsumer(manager, settings);
}

function parkingStream({ streamReplicas, parkedMaxBytes }: ApplierStreamSettings): StreamDefinition {
  return {
    name: PARKING_STREAM,
    description: 'Identity writes that wait until their EdgeMigration lets them go on',
    subjects: [PARKING_SUBJECTS],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    // A refusal keeps the event in the stream it came from; nothing is dropped.
    discard: DiscardPolicy.New,
    num_replicas: streamReplicas,
    max_bytes: parkedMaxBytes,
    max_msg_size: MAX_PARKED_BYTES,
    max_msgs_per_subject: MAX_EVENTS_PER_SUBJECT,
    discard_new_per_subject: true,
    allow_direct: true,
  };
}

function reportStream({ streamReplicas }: ApplierStreamSettings): StreamDefinition {
  return {
    name: REPORT_STREAM,
    description: 'The last report of each applier process',
    subjects: [REPORT_SUBJECTS],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    num_replicas: streamReplicas,
    max_msgs_per_subject: 1,
    max_msgs: MAX_REPORTS,
    max_bytes: REPORTS_MAX_BYTES,
    max_msg_size: MAX_REPORT_BYTES,
    deny_purge: true,
    max_age: nanos(REPORT_DAYS * 24 * 60 * 60),
    allow_direct: true,
  };
}

async function ensureConsumer(manager: JetStreamManager, { ackWaitSeconds }: ApplierStreamSettings): Promise<void> {
  const settings = {
    ack_wait: nanos(ackWaitSeconds),
    // Events that are handled again later stay unacknowledged meanwhile; however many, they must not stop the others.
    max_ack_pending: -1,
  };
  const existing = await findConsumer(manager);
  if (existing === undefined) {
    await manager.consumers.add(STREAM, {
      ...settings,
      durable_name: CONSUMER,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      max_deliver: -1,
    });
  } else if (existing.ack_wait !== settings.ack_wait || existing.max_ack_pending !== settings.max_ack_pending) {
    await manager.consumers.update(STREAM, CONSUMER, settings);
  }
}

async function findConsumer(manager: JetStreamManager): Promise<ConsumerConfig | undefined> {
  try {
    return (await manager.consumers.info(STREAM, CONSUMER)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return undefined;
    throw error;
  }
}
