import { gunzipSync, gzipSync } from 'node:zlib';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';

const count = z.int().nonnegative();
const counts = z.record(z.string(), count);
const time = z.iso.datetime();

/** What one applier process did for a project since it started, and what it has in hand. */
export const projectReport = z.object({
  projectId: z.int().positive(),
  /** Events applied, by outcome of the convergence: `inserted`, `updated`, `unchanged`, … */
  applied: counts,
  /** Events that must not reach Edge, by reason: `windowClosed`, `finished`, … */
  dropped: counts,
  /** Times that an event was put aside, by reason; what waits now is in the parking stream. */
  parked: counts,
  /** Tries that failed; all are repeated. */
  failed: count,
  /** Events in hand, and when the oldest of them was observed; null when there is none. */
  inHand: count,
  oldestObservedTime: time.nullable(),
  lastAppliedTime: time.nullable(),
});

/** Where the consumer that all appliers share is in the stream of events. */
export const position = z.object({
  /** Every message up to this sequence is done with. */
  acknowledgedSequence: count,
  /** In the stream, and not delivered to anyone yet. */
  pending: count,
  /** Delivered, and not done with: in some applier's hands, or to be handled again later. */
  unacknowledged: count,
  /** When the oldest message that is not done with came into the stream; null when all are. */
  oldestTime: time.nullable(),
});

/**
 * What an applier process says of itself every few seconds; the last report of each process is kept in
 * `EDGE_REPLAY`, also after its end. Counters begin at 0 with the process, whose subject is its own: the sum over all
 * reports is the total. Times are RFC 3339 by the applier's clock.
 */
export const applierReport = z.object({
  version: z.literal(1),
  /** `<instance>-<random>`: of this process only. */
  process: z.string(),
  instance: z.string(),
  startedTime: time,
  time,
  /** Its last report: it ended as asked. */
  goodbye: z.boolean(),
  /** Whether it may apply anything: it heard of the API server within ten seconds. */
  confirmed: z.boolean(),
  /** Why nothing is applied although it may be, for people: a store's last error. */
  outage: z.string().nullable(),
  position: position.nullable(),
  /** Events of projects without an EdgeMigration. */
  foreign: count,
  projects: z.array(projectReport),
});

export type ApplierReport = z.infer<typeof applierReport>;
export type ProjectReport = z.infer<typeof projectReport>;
export type Position = z.infer<typeof position>;

const ENCODING_HEADER = 'Content-Encoding';
/** NATS refuses messages of more than a mebibyte by default; a few thousand projects are more than that. */
const COMPRESS_BYTES = 64 * 1024;
/** Nobody's report is longer; what says that it is, is refused before it fills the memory. */
const MOST_BYTES = 256 * 1024 ** 2;

/** A report as a message; a long one is compressed. */
export function encodeReport(report: ApplierReport): { payload: string | Uint8Array; headers: MsgHdrs } {
  const text = JSON.stringify(report);
  const fields = headers();
  if (text.length < COMPRESS_BYTES) return { payload: text, headers: fields };
  fields.set(ENCODING_HEADER, 'gzip');
  return { payload: gzipSync(text, { level: 1 }), headers: fields };
}

/** The report in a message; undefined when it is none, or one of another release. */
export function decodeReport(message: { data: Uint8Array; header?: MsgHdrs | undefined }): ApplierReport | undefined {
  try {
    const isCompressed = message.header?.get(ENCODING_HEADER) === 'gzip';
    const bytes = isCompressed ? gunzipSync(message.data, { maxOutputLength: MOST_BYTES }) : message.data;
    return applierReport.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}
