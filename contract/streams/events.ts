import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  JetStreamError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
  type StreamInfo,
  type StreamInfoRequestOptions,
  type StreamUpdateConfig,
} from '@nats-io/jetstream';
import { z } from 'zod';
import { STREAM, SUBJECT } from '../write-event.ts';

export { STREAM };

/** Write events are published to this subject. */
export const EVENT_SUBJECT = `${SUBJECT}.event`;

const DERIVED = `${SUBJECT}.derived.`;
/** The name before release 0.2: events under it in the stream are still handled. */
const FORMERLY_DERIVED = `${SUBJECT}.anew.`;
const DERIVED_PREFIXES = [DERIVED, FORMERLY_DERIVED];
export const DERIVED_SUBJECTS = `${DERIVED}>`;

/**
 * For events derived from others: pages of a fan-out and their identities, released events, orphaned messages. Each is
 * in the stream before its source is acknowledged, so that a project without messages here and in the parking stream
 * has none under way (docs/design.md, "Life of a migration").
 *
 * @param projectId 0 if unknown
 */
export function derivedSubject(projectId: number): string {
  return DERIVED + projectId;
}

/** The project in such a subject; undefined in others. */
export function parseDerivedSubject(subject: string): number | undefined {
  const prefix = DERIVED_PREFIXES.find((each) => subject.startsWith(each));
  return prefix === undefined ? undefined : Number(subject.slice(prefix.length));
}

const PROBES = `${SUBJECT}.probe.`;

/**
 * A sidecar's probes. They pass through the same stream as write events; appliers acknowledge and ignore them, and
 * without an applier they expire by their own `Nats-TTL`. (`Nats-Rollup` would keep only the last one, but a stream
 * that allows it can be purged by every publisher.)
 */
export function probeSubject(podUid: string): string {
  return PROBES + podUid;
}

export function isProbe(subject: string): boolean {
  return subject.startsWith(PROBES);
}

/** Keeps each sidecar's last coverage report. */
export const COVERAGE_STREAM = 'EDGE_COVERAGE';
const COVERAGE = 'coverage.';
const COVERAGE_SUBJECTS = `${COVERAGE}>`;

/**
 * Each spool has its own subject, so that the report of a lost one stays until the operator has seen what was lost with
 * it. A sidecar without a spool reports under its pod alone.
 */
export function coverageSubject(podUid: string, spoolId?: string): string {
  return COVERAGE + podUid + (spoolId === undefined ? '' : `~${spoolId}`);
}

/** Settings of the streams, for the process that creates them. */
export const streamSettings = {
  streamReplicas: z.coerce.number().int().min(1).max(5).default(1),
  /** When it is full, publishes are rejected and the sidecars keep the events; nothing is dropped. */
  streamMaxBytes: z.coerce
    .number()
    .int()
    .positive()
    .default(16 * 1024 ** 3),
  /** A second publish of an event within this time is detected and stored once. */
  streamDuplicateWindowSeconds: z.coerce.number().int().min(1).default(120),
};

export interface StreamSettings {
  streamReplicas: number;
  streamMaxBytes: number;
  streamDuplicateWindowSeconds: number;
}

/** A stream of this name exists and cannot be converted without losing its contents. */
export class StreamMismatchError extends Error {
  override readonly name = 'StreamMismatchError';
  readonly disposition = 'misconfigured';
}

/** An operator sees a gap long before; afterwards a report of a deleted pod has no new information. */
const REPORT_DAYS = 7;
const nanos = (seconds: number) => seconds * 1e9;

/** Maximum bytes of an event with its headers. */
export const MAX_MESSAGE_BYTES = 128 * 1024;
/** NATS's own default limit of a message. */
export const MAX_REPORT_BYTES = 1024 * 1024;
/**
 * Bounds the memory for reports of invented pods: a report has up to four kilobytes, the final one of a pod six, and
 * there is room for thousands of sidecars. The reader holds them all in memory, three times as large, twice at a time.
 */
const COVERAGE_MAX_BYTES = 32 * 1024 * 1024;
/** The same for appliers, whose reports count each project. */
export const REPORTS_MAX_BYTES = 128 * 1024 * 1024;
export const MAX_REPORTS = 20_000;
/** More than a stream's bytes leave room for; it bounds the server's index of a subject. */
export const MAX_EVENTS_PER_SUBJECT = 100_000_000;

function eventStream(settings: StreamSettings): StreamDefinition {
  return {
    name: STREAM,
    description: 'Identity writes that reached the Core API, until they are in Edge',
    subjects: [`${SUBJECT}.>`],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: settings.streamReplicas,
    max_bytes: settings.streamMaxBytes,
    max_msg_size: MAX_MESSAGE_BYTES,
    // Without the second setting the first would drop the oldest events of the subject.
    max_msgs_per_subject: MAX_EVENTS_PER_SUBJECT,
    discard_new_per_subject: true,
    duplicate_window: nanos(settings.streamDuplicateWindowSeconds),
    allow_msg_ttl: true,
    allow_rollup_hdrs: false,
    // Some servers treat a reply to `$JS.API.STREAM.PURGE…` as a purge, so every publisher could empty the stream.
    deny_purge: true,
    allow_direct: true,
  };
}

function coverageStream(settings: StreamSettings): StreamDefinition {
  return {
    name: COVERAGE_STREAM,
    description: 'The last coverage report of each sidecar',
    subjects: [COVERAGE_SUBJECTS],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    // The last one of each subject; but no sidecar's reports displace another's.
    discard: DiscardPolicy.New,
    num_replicas: settings.streamReplicas,
    max_msgs_per_subject: 1,
    max_msgs: MAX_REPORTS,
    max_bytes: COVERAGE_MAX_BYTES,
    max_msg_size: MAX_REPORT_BYTES,
    deny_purge: true,
    max_age: nanos(REPORT_DAYS * 24 * 60 * 60),
    allow_direct: true,
  };
}

export type StreamDefinition = Pick<StreamConfig, 'name' | 'retention' | 'storage'> & Partial<StreamUpdateConfig>;

/**
 * Creates both streams, or updates them to the settings; idempotent. The operator does this; sidecars only publish, and
 * wait while a stream is missing.
 *
 * @throws StreamMismatchError if a stream exists with another retention or storage
 */
export async function ensureStreams(manager: JetStreamManager, settings: StreamSettings): Promise<void> {
  for (const definition of [eventStream(settings), coverageStream(settings)]) await ensureStream(manager, definition);
}

/** Creates or updates one of them; idempotent. */
export async function ensureStream(manager: JetStreamManager, definition: StreamDefinition): Promise<void> {
  const existing = (await findStream(manager, definition.name))?.config;
  if (existing === undefined) {
    await manager.streams.add(definition);
    return;
  }
  if (existing.retention !== definition.retention || existing.storage !== definition.storage) {
    throw new StreamMismatchError(
      `Stream ${definition.name} exists with retention ${existing.retention} on ${existing.storage} storage; ` +
        `${definition.retention} on ${definition.storage} is needed`,
    );
  }
  if (differs(existing, definition)) await manager.streams.update(definition.name, { ...existing, ...definition });
}

/** Undefined if there is no stream of this name. */
export async function findStream(
  manager: JetStreamManager,
  name: string,
  options?: Partial<StreamInfoRequestOptions>,
): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name, options);
  } catch (error) {
    if (isStreamMissing(error)) return undefined;
    throw error;
  }
}

const BATCH = 256;

export interface ReadOptions {
  /** The first sequence. */
  from?: number;
  /** Only messages of this subject. */
  subject?: string;
  most?: number;
}

/**
 * The messages that a stream has now, in order, by direct gets. A batch may be truncated by its bytes, so that only an
 * empty one is the end.
 *
 * @throws errors of the client library if the stream is missing or unreachable; not if it is empty
 */
export async function* readStored(
  manager: JetStreamManager,
  stream: string,
  { from = 1, subject, most = Number.POSITIVE_INFINITY }: ReadOptions = {},
): AsyncGenerator<StoredMsg> {
  const filter = subject === undefined ? {} : { next_by_subj: subject };
  try {
    for (let sequence = from, left = most; left > 0; ) {
      const options = { seq: sequence, batch: Math.min(BATCH, left), ...filter };
      for await (const message of await manager.direct.getBatch(stream, options)) {
        yield message;
        sequence = message.seq + 1;
        left -= 1;
      }
      if (sequence === options.seq) return;
    }
  } catch (error) {
    // "message not found": nothing is stored from this sequence on.
    if (!(error instanceof JetStreamError && 'code' in error && error.code === 404)) throw error;
  }
}

export function isStreamMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
}

function differs(existing: StreamConfig, definition: StreamDefinition): boolean {
  const current: Record<string, unknown> = { ...existing };
  return Object.entries(definition).some(([field, value]) => JSON.stringify(current[field]) !== JSON.stringify(value));
}
