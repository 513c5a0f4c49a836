import { z } from 'zod';
import { writeScope } from '../write-scope.ts';

import { usageReport } from './usage.ts';

/**
 * - `spoolFull`: the spool's limit was reached; `spoolFailing`: its disk refused or took too long.
 * - `spoolLost`: what an earlier process left could not be read, or the node went down before it was synced.
 * - `bodyTooLarge`: a request body was beyond the parse limit; `eventTooLarge`: an identifier was beyond an event's.
 * - `bodyUnreadable`: a body in an encoding that the API may know and we do not; `unnamedWrite`: no event can say whose
 *   identities a request changed (a form of the Django admin, say).
 * - `unknownRoute`: the API took, or may have taken, what looks like a write of identities and is none that this release knows.
 * - `captureFailed`: an error of our own while a request was looked at.
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

/** More than a sidecar reports (spool/gaps.ts), with what is added in its stead when it has gone. */
const MOST_GAPS = 256;
/** That one gap names; a sidecar that has more to name claims all. */
export const MOST_SCOPES = 256;

/** Names of Kubernetes, and what stands in their place outside it. */
const name = (characters: number) =>
  z
    .string()
    .regex(/^[\x20-\x7e]*$/)
    .max(characters);
const count = z.int().nonnegative();
const time = z.iso.datetime();

/** A time range in which identity writes may have happened that are in no event. */
export const coverageGap = z.object({
  from: time,
  /** Null while it lasts. */
  until: time.nullable(),
  reason: gapReason,
  /** Whose writes may be missing; null when that is not known, i.e. all. Sidecars of releases before 0.2 do not say. */
  scope: z.array(writeScope).max(MOST_SCOPES).nullable().default(null),
});

/**
 * What a sidecar says of itself, every few seconds, last one kept per pod. All times are RFC 3339 by the sidecar's
 * clock.
 */
export const coverageReport = z.object({
  version: z.literal(1),
  /** `<pod name>/<pod uid>`, as in its events. */
  instance: name(320),
  /** As in its subject: nothing else is believed. */
  podUid: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  podName: name(253).min(1),
  namespace: name(63),
  node: name(253),
  release: name(64),
  /** Changes when a spool is lost; missing while its directory is not usable, and in reports of older sidecars. */
  spoolId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
  startedTime: time,
  time,
  /** Events that the stream has not acknowledged yet; exact up to the part that waits on disk, see `spoolBytes`. */
  spoolDepth: count,
  spoolBytes: count,
  /** When the oldest request began whose events the stream has not acknowledged; null when there is none. */
  oldestUnsentTime: time.nullable(),
  /** Every write that began before this is in the stream or in `gaps`; null until an earlier process's spool is read. */
  allSentUntil: time.nullable(),
  gaps: z.array(coverageGap).max(MOST_GAPS),
  /** The last test event that came back with its sequence; null before the first. */
  probe: z.object({ sequence: z.int().positive(), time }).nullable(),
  /** The process has ended with everything sent, or with its pod, and what it took along is in `gaps`. */
  goodbye: z.boolean(),
  /**
   * Missing in reports of sidecars that do not count. What a later release may put here in another form counts as missing, and
   * does not take the proof of coverage with it.
   */
  usage: usageReport.optional().catch(undefined),
});

export type GapReason = z.infer<typeof gapReason>;
export type CoverageGap = z.infer<typeof coverageGap>;
export type CoverageReport = z.infer<typeof coverageReport>;
