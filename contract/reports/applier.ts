import { gunzipSync, gzipSync } from 'node:zlib';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';
import { reportSubject } from '../streams/applier.ts';

const count = z.int().nonnegative();
/** By outcome or reason, of this release or another. */
const counts = z
  .record(z.string().max(32), count)
  .refine((all) => Object.keys(all).length <= 64, { error: 'must have at most 64 entries' });
const time = z.iso.datetime();
const text = (characters: number) => z.string().max(characters);

/** What one applier process did for a project since it started, and its in-flight events. */
const projectReport = z.object({
  projectId: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  /** Events applied, by outcome of the convergence: `inserted`, `updated`, `unchanged`, … */
  applied: counts,
  /** Events that must not reach Edge, by reason: `windowClosed`, `finished`, … */
  dropped: counts,
  /** How often an event was parked, by reason; events that are parked now are in the parking stream. */
  parked: counts,
  /** Failed attempts; all are retried. */
  failed: count,
  /** The number of in-flight events, and when the oldest of them was observed; null if there is none. */
  inHand: count,
  oldestObservedTime: time.nullable(),
  lastAppliedTime: time.nullable(),
});

/**
 * What this process knows about a stream and others cannot find out later: handled messages are gone. Times are those
 * of NATS, except for the end of a loss.
 */
const streamReport = z.object({
  stream: text(64),
  /** When the stream was created, as reported by NATS. */
  created: text(64),
  /** The lowest sequence among the deliveries stored in a period, with its time; of the most recent such periods. */
  places: z.array(z.object({ sequence: count, time })).max(128),
  /** When lost events were stored: their sequences were assigned once more. */
  losses: z.array(z.object({ from: time, until: time })).max(32),
});

/** The maximum length of an error for people. */
export const MOST_OUTAGE_CHARACTERS = 500;
const MOST_PROJECTS = 50_000;

/**
 * The report of an applier process, sent every few seconds; the last report of each process is kept in `EDGE_REPLAY`,
 * even after its end. Counters begin at 0 with the process, whose subject is unique: the sum over all reports is the
 * total. Times are RFC 3339 by the applier's clock.
 */
const applierReport = z.object({
  version: z.literal(1),
  /** `<instance>-<random>`: unique for this process. */
  process: text(300),
  instance: text(300),
  /** Missing in reports of earlier releases. */
  release: text(64).optional(),
  startedTime: time,
  time,
  /** Its last report: it ended as requested. */
  goodbye: z.boolean(),
  /** Whether it judges events as they arrive: see isAble in migrations.ts. */
  confirmed: z.boolean(),
  /** Why nothing is applied although it could be, for people: a store's last error. */
  outage: text(MOST_OUTAGE_CHARACTERS).nullable(),
  /** Since when Edge has been unreachable; omitted until that has lasted for the configured time. */
  edgeUnreachableSince: time.optional(),
  /** The region in which Edge is written instead of the home region, since when and why; omitted otherwise. */
  away: z.object({ region: text(64), home: text(64), since: time, reason: text(MOST_OUTAGE_CHARACTERS) }).optional(),
  /** Missing in reports of earlier releases. */
  streams: z.array(streamReport).max(4).optional(),
  /** It reports removals from the parking stream before it makes them: see removals.ts. */
  tellsRemovals: z.boolean().optional(),
  /** Events of projects without an EdgeMigration. */
  foreign: count,
  projects: z.array(projectReport).max(MOST_PROJECTS),
});

export type ApplierReport = z.infer<typeof applierReport>;
export type ProjectReport = z.infer<typeof projectReport>;
export type StreamReport = z.infer<typeof streamReport>;

interface ReportMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly header?: MsgHdrs | undefined;
}

const ENCODING_HEADER = 'Content-Encoding';
/** NATS rejects messages of more than a mebibyte by default; the reports of a few thousand projects are larger. */
const COMPRESS_BYTES = 64 * 1024;
/**
 * Uncompressed. About 150 bytes per project, and as much memory as the operator can spare: parsed, hostile JSON takes
 * thirty times as much, and its gzip a thousandth.
 */
const MOST_BYTES = 3 * 1024 ** 2;

/**
 * A report as a message; a long one is compressed, and counts of zero are omitted.
 *
 * @throws RangeError if it is longer than readers accept
 */
export function encodeReport(report: ApplierReport): { payload: string | Uint8Array; headers: MsgHdrs } {
  const text = JSON.stringify({ ...report, projects: report.projects.map(leaveOutZeros) });
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new RangeError(`a report of ${report.projects.length} projects has more than ${MOST_BYTES} bytes`);
  }
  const fields = headers();
  if (text.length < COMPRESS_BYTES) return { payload: text, headers: fields };
  fields.set(ENCODING_HEADER, 'gzip');
  return { payload: gzipSync(text, { level: 1 }), headers: fields };
}

function leaveOutZeros(project: ProjectReport): ProjectReport {
  const some = (all: ProjectReport['applied']) =>
    Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
  const { applied, dropped, parked } = project;
  return { ...project, applied: some(applied), dropped: some(dropped), parked: some(parked) };
}

/**
 * The report in a message; undefined if it is not one, is of another release, or is on the subject of another process,
 * whose counters it would replace.
 */
export function decodeReport(message: ReportMessage): ApplierReport | undefined {
  try {
    const isCompressed = message.header?.get(ENCODING_HEADER) === 'gzip';
    const bytes = isCompressed ? gunzipSync(message.data, { maxOutputLength: MOST_BYTES }) : message.data;
    if (bytes.length > MOST_BYTES) return undefined;
    const report = applierReport.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
    return report !== undefined && reportSubject(report.process) === message.subject ? report : undefined;
  } catch {
    return undefined;
  }
}
