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
/** As releases before 0.2 named it: what they left in the stream is still theirs. */
const FORMERLY_DERIVED = `${SUBJECT}.anew.`;
export const DERIVED_SUBJECTS = `${DERIVED}>`;

/**
 * For events that come into the stream because of others that were in it: pages of a fan-out and what they hold, what
 * had been put aside, strays. Each is in the stream before what it comes from is acknowledged, so that a project that
 * has none here, and nothing aside, has none under way (docs/design.md, "Life of a migration").
 *
 * @param projectId 0 when nobody can say
 */
export function derivedSubject(projectId: number): string {
  return DERIVED + projectId;
}

/** The project in such a subject; undefined for others. */
export function parseDerivedSubject(subject: string): number | undefined {
  const prefix = [DERIVED, FORMERLY_DERIVED].find((each) => subject.startsWith(each));
  return prefix === undefined ? undefined : Number(subject.slice(prefix.length));
}

const PROBES = `${SUBJECT}.probe.`;

/**
 * A sidecar's test events. They go the way of the write events to prove it; appliers acknowledge and ignore them, and
 * where none runs they go by their own `Nats-TTL`. (`Nats-Rollup` would keep the last one, but a stream that allows it
 * can be purged by everyone who may publish.)
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
 * Each spool has a subject of its own, so that the report of one that was lost stays until the operator has seen what was
 * lost with it. A sidecar that has no spool yet reports under its pod alone.
 */
export function coverageSubject(podUid: string, spoolId?: string): string {
  return COVERAGE + podUid + (spoolId === undefined ? '' : `~${spoolId}`);
}

/** Settings of the streams, for the process that makes them. */
export const streamSettings = {
  streamReplicas: z.coerce.number().int().min(1).max(5).default(1),
  /** When it is full, publishes are refused and the sidecars keep the events; nothing is dropped. */
  streamMaxBytes: z.coerce
    .number()
    .int()
    .positive()
    .default(16 * 1024 ** 3),
  /** A second publish of an event within this time is recognised and stored once. */
  streamDuplicateWindowSeconds: z.coerce.number().int().min(1).default(120),
};

export interface StreamSettings {
  streamReplicas: number;
  streamMaxBytes: number;
  streamDuplicateWindowSeconds: number;
}

/** A stream of this name exists and cannot be turned into what we need without losing what is in it. */
export class StreamMismatchError extends Error {
  override readonly name = 'StreamMismatchError';
  readonly disposition = 'misconfigured';
}

/** An operator sees a gap long before; afterwards a report of a pod that is gone says nothing new. */
const REPORT_DAYS = 7;
const nanos = (seconds: number) => seconds * 1e9;

/** How many bytes an event with its headers takes at most. */
export const MAX_MESSAGE_BYTES = 128 * 1024;
/** NATS's own limit of a message by default. */
export const MAX_REPORT_BYTES = 1024 * 1024;
/**
 * Bounds what invented pods can take: a report is of four kilobytes, the last one of a pod of six, and thousands of sidecars have room. Its reader has
 * them all in memory, three times as large, twice at a time.
 */
const COVERAGE_MAX_BYTES = 32 * 1024 * 1024;
/** The same for appliers, whose reports count each project. */
export const REPORTS_MAX_BYTES = 128 * 1024 * 1024;
export const MAX_REPORTS = 20_000;
/** More than the bytes of a stream leave room for; it bounds the server's index of a subject. */
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
    // Without the second one the first would drop the oldest events of the subject.
    max_msgs_per_subject: MAX_EVENTS_PER_SUBJECT,
    discard_new_per_subject: true,
    duplicate_window: nanos(settings.streamDuplicateWindowSeconds),
    allow_msg_ttl: true,
    allow_rollup_hdrs: false,
    // A reply to `$JS.API.STREAM.PURGE…` is a purge to some servers, so who may publish could empty the stream.
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
    // Of each subject the last one; but no sidecar's reports push out another's.
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
 * Makes both streams, or brings them in line with the settings; idempotent. The operator does it; sidecars only
 * publish and wait while a stream is missing.
 *
 * @throws StreamMismatchError when a stream exists with another retention or storage
 */
export async function ensureStreams(manager: JetStreamManager, settings: StreamSettings): Promise<void> {
  for (const definition of [eventStream(settings), coverageStream(settings)]) await ensureStream(manager, definition);
}

/** One of them; idempotent. */
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

/** Undefined when there is no stream of this name. */
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
 * The messages that a stream has now, in order, by direct gets. A batch may be cut short by its bytes, so that only an
 * empty one is the end.
 *
 * @throws what the client library throws when the stream is missing or out of reach; not when it is empty
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
