import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { STREAMS_READY } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import {
  AckPolicy,
  type ConsumerInfo,
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
import { STREAM } from '../write-event.ts';
import {
  ensureStream,
  MAX_EVENTS_PER_SUBJECT,
  MAX_REPORT_BYTES,
  MAX_REPORTS,
  REPORTS_MAX_BYTES,
  type StreamDefinition,
} from './events.ts';

/** The consumer of earlier releases, which used one fixed name; it is used as long as it exists. */
export const EARLIER_CONSUMER = 'edge-applier';

/**
 * The durable consumer that all replicas share. It is named after its stream, because an acknowledgement names only a
 * consumer and a sequence: a late one must not remove an event of a re-created stream.
 *
 * @param created when the stream was created, as reported by NATS
 */
export function consumerName(created: string): string {
  return `${EARLIER_CONSUMER}-${created.replaceAll(/\D/g, '')}`;
}
/** Parked events, see parking.ts. */
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
/** Longer than the longest usual window, so that the sum over all reports remains a total. */
const REPORT_DAYS = 60;
/** An event with headers that say why it is parked. */
const MAX_PARKED_BYTES = 256 * 1024;

/** Like {@link ensureApplierStreams}, but retries until it succeeds. Rejects with the signal's reason. */
export async function awaitApplierStreams(
  connection: NatsConnection,
  settings: ApplierStreamSettings,
  { clock, logger, signal }: { clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<void> {
  let isTold = false;
  await retry(async () => ensureApplierStreams(await manage(connection), settings), {
    ...{ policy: STREAMS_READY, clock, signal },
    // The operator creates the stream of events, and administrators grant rights and storage.
    isWorthIt: () => true,
    onRetry(error) {
      if (!isTold) logger.warn({ err: error }, 'the streams are not ready; retrying until they are');
      isTold = true;
    },
  });
}

/** The JetStream API of a connection; sends no request yet. */
export function manage(connection: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false });
}

/**
 * Creates the consumer and the appliers' own streams, or updates them to the settings; idempotent.
 *
 * @returns the consumer
 * @throws StreamMismatchError, and JetStreamApiError while the stream of events is missing
 */
export async function ensureApplierStreams(
  manager: JetStreamManager,
  settings: ApplierStreamSettings,
): Promise<ConsumerInfo> {
  await ensureStream(manager, parkingStream(settings));
  await ensureStream(manager, reportStream(settings));
  return ensureConsumer(manager, settings);
}

function parkingStream({ streamReplicas, parkedMaxBytes }: ApplierStreamSettings): StreamDefinition {
  return {
    name: PARKING_STREAM,
    description: 'Parked identity writes, until their EdgeMigration allows them to be applied',
    subjects: [PARKING_SUBJECTS],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    // A rejected publish keeps the event in the stream that it came from; nothing is dropped.
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

async function ensureConsumer(
  manager: JetStreamManager,
  { ackWaitSeconds }: ApplierStreamSettings,
): Promise<ConsumerInfo> {
  const settings = {
    ack_wait: nanos(ackWaitSeconds),
    // Events that are handled again later stay unacknowledged meanwhile; no number of them may block the others.
    max_ack_pending: -1,
  };
  const { created } = await manager.streams.info(STREAM);
  const existing = await findConsumer(manager, created);
  if (existing === undefined) {
    return manager.consumers.add(STREAM, {
      ...settings,
      durable_name: consumerName(created),
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      max_deliver: -1,
    });
  }
  const { ack_wait, max_ack_pending } = existing.config;
  const isAsSet = ack_wait === settings.ack_wait && max_ack_pending === settings.max_ack_pending;
  return isAsSet ? existing : manager.consumers.update(STREAM, existing.name, settings);
}

/**
 * The consumer of the stream created at that time; undefined if it has none.
 *
 * @throws errors of the client library if it cannot be asked
 */
export async function findConsumer(manager: JetStreamManager, created: string): Promise<ConsumerInfo | undefined> {
  try {
    return await manager.consumers.info(STREAM, consumerName(created));
  } catch (error) {
    // Also if the server denies access to the name: rights written for an earlier release include only its name.
    const earlier = await manager.consumers.info(STREAM, EARLIER_CONSUMER).catch(ignoreMissing);
    if (earlier === undefined && !isConsumerMissing(error)) throw error;
    return earlier;
  }
}

function isConsumerMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound;
}

function ignoreMissing(error: unknown): undefined {
  if (!isConsumerMissing(error)) throw error;
}
