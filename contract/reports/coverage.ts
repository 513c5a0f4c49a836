import { z } from 'zod';
import { writeScope } from '../write-scope.ts';

import { usageReport } from './usage.ts';

/**
 * - `spoolFull`: the spool's limit was reached; `spoolFailing`: its disk failed or took too long.
 * - `spoolLost`: an earlier process's events could not be read, or the node went down before they were synced.
 * - `bodyTooLarge`: a request body was above the parse limit; `eventTooLarge`: an identifier was above an event's
 *   limit.
 * - `bodyUnreadable`: a body in an encoding that the API may understand and the sidecar does not; `unnamedWrite`: no
 *   event can name the identities that a request changed (a form of the Django admin, for example).
 * - `unknownRoute`: the API accepted, or may have accepted, a request that looks like an identity write but matches no
 *   known route.
 * - `captureFailed`: an internal error while a request was captured.
 * - `streamLost`: the stream lost events after the safety time.
 * - `sidecarVanished`, `noSidecar`: found by {@link decideCoverage}, never reported.
 */
export const gapReason = z.enum([
  'spoolFull',
  'spoolFailing',
  'spoolLost',
  'bodyTooLarge',
  'eventTooLarge',
  'bodyUnreadable',
  'unnamedWrite',
  'unknownRoute',
  'captureFailed',
  'streamLost',
  'sidecarVanished',
  'noSidecar',
]);

/** The maximum in a sidecar's report (spool/gaps.ts), plus those that are added in its place once it is gone. */
const MOST_GAPS = 256;
/** The maximum number of names in one gap; a sidecar with more names claims all. */
export const MOST_SCOPES = 256;

/** Kubernetes names, and their equivalents outside it. */
const name = (characters: number) =>
  z
    .string()
    .regex(/^[\x20-\x7e]*$/)
    .max(characters);
const count = z.int().nonnegative();
const time = z.iso.datetime();

/** A time range with identity writes that may be in no event. */
export const coverageGap = z.object({
  from: time,
  /** Null while it lasts. */
  until: time.nullable(),
  reason: gapReason,
  /**
   * The identities whose writes may be missing; null if unknown, which means all. Sidecars of releases before 0.2 do
   * not report it.
   */
  scope: z.array(writeScope).max(MOST_SCOPES).nullable().default(null),
});

/**
 * A sidecar's report, sent every few seconds, the last one kept per pod. All times are RFC 3339 by the sidecar's
 * clock.
 */
export const coverageReport = z.object({
  version: z.literal(1),
  /** `<pod name>/<pod uid>`, as in its events. */
  instance: name(320),
  /** As in its subject: reports with another name are ignored. */
  podUid: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  podName: name(253).min(1),
  namespace: name(63),
  node: name(253),
  release: name(64),
  /** Changes when a spool is lost; absent while its directory is not usable, and in reports of older sidecars. */
  spoolId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
  startedTime: time,
  time,
  /** Events that the stream has not acknowledged yet; exact except for the part on disk, see `spoolBytes`. */
  spoolDepth: count,
  spoolBytes: count,
  /** When the oldest request with unacknowledged events began; null if there is none. */
  oldestUnsentTime: time.nullable(),
  /**
   * Every write that began before this time is in the stream or in `gaps`; null until an earlier process's spool is
   * read.
   */
  allSentUntil: time.nullable(),
  gaps: z.array(coverageGap).max(MOST_GAPS),
  /** The last probe that came back, with its sequence; null before the first. */
  probe: z.object({ sequence: z.int().positive(), time }).nullable(),
  /** The process has ended with everything sent, or its pod has ended and its unsent events are in `gaps`. */
  goodbye: z.boolean(),
  /**
   * Absent in reports of sidecars that do not count. A form of a later release counts as absent, and does not
   * invalidate the proof of coverage.
   */
  usage: usageReport.optional().catch(undefined),
});

export type GapReason = z.infer<typeof gapReason>;
export type CoverageGap = z.infer<typeof coverageGap>;
export type CoverageReport = z.infer<typeof coverageReport>;
