import type { CoverageGap, CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import { findSuccessors, lostGap, newestOfPods } from './successors.ts';

/** A pod of the Core API, as seen in Kubernetes. */
export interface CoreApiPod {
  uid: string;
  name: string;
  ready: boolean;
  /** RFC 3339, since when it has been ready, if it is. */
  readyTime?: string;
  /**
   * RFC 3339, since when its containers may run; absent before and after. Open connections are served whether it is
   * ready or not.
   */
  runningTime?: string;
  /** Its environment has `EDGE_API_URL`, to which Flagsmith forwards requests of projects that are on Edge. */
  knowsEdge?: true;
}

export interface StoredReport {
  report: CoverageReport;
  /** Sequence in the stream. */
  sequence: number;
  /** When NATS stored it, epoch milliseconds. Ages are measured from here: the sidecar's clock may be wrong. */
  storedTime: number;
}

export interface CoverageFacts {
  pods: readonly CoreApiPod[];
  /** With their times by the stream's clock (store-time.ts). */
  reports: readonly StoredReport[];
  /** Epoch milliseconds, by the stream's clock. */
  now: number;
  /** A proof older than this proves nothing any more. */
  freshMs: number;
  /** How many sidecars there must be in front of Core APIs outside Kubernetes (reports without a namespace). */
  staticCount?: number;
}

/** Whether writes of this scope are relevant to the caller; a gap without a scope always is. */
export type Concerns = (scope: WriteScope) => boolean;

/** A time range in which writes may be missing, and its sidecar. */
export interface SidecarGap extends CoverageGap {
  /** The same for the same gap each time it is decided; holders of gaps replace by it. */
  id: string;
  podUid: string;
  podName: string;
}

type CoverageReason =
  | 'AllCovered'
  | 'NoCoreApi'
  | 'SidecarMissing'
  | 'ProofStale'
  | 'StaticSidecarsMissing'
  | 'GapOpen';

export interface Coverage {
  /** Every identity write that now reaches the Core API becomes an event. */
  covered: boolean;
  reason: CoverageReason;
  message: string;
  /** Oldest first. */
  gaps: SidecarGap[];
}

interface Finding {
  reason: CoverageReason;
  message: string;
}

/** Whether requests may be in it: an API that has just started gets its time until it is ready, or its sidecar reports. */
function mayServe({ ready, runningTime }: CoreApiPod, { now, freshMs }: CoverageFacts): boolean {
  return ready || (runningTime !== undefined && now - Date.parse(runningTime) > freshMs);
}

/**
 * Whether every Core API pod that may serve has a sidecar that can prove that its events reach the stream, and what was
 * not captured.
 *
 * @param concerns excludes gaps that only affect others
 */
export function decideCoverage(facts: CoverageFacts, concerns: Concerns = () => true): Coverage {
  const isConcerned = ({ scope }: CoverageGap) => scope === null || scope.length === 0 || scope.some(concerns);
  const gaps = [...reportedGaps(facts), ...vanishedGaps(facts), ...uncoveredGaps(facts)].filter(isConcerned);
  gaps.sort((a, b) => a.from.localeCompare(b.from));
  const findings = [...findPods(facts), ...findStatic(facts), ...findOpenGaps(facts, isConcerned)];
  const [first] = findings;
  if (first !== undefined) {
    return { covered: false, reason: first.reason, message: findings.map(({ message }) => message).join('; '), gaps };
  }
  const pods = facts.pods.filter((pod) => mayServe(pod, facts)).length + (facts.staticCount ?? 0);
  return { covered: true, reason: 'AllCovered', message: `all ${pods} Core API instances have a live sidecar`, gaps };
}

function findPods(facts: CoverageFacts): Finding[] {
  if (!facts.pods.some(({ ready }) => ready) && (facts.staticCount ?? 0) === 0) {
    return [{ reason: 'NoCoreApi', message: 'no ready Core API pod was found; check the label selector' }];
  }
  const reports = newestOfPods(facts.reports);
  const serving = facts.pods.filter((pod) => mayServe(pod, facts));
  return serving.flatMap((pod) => judgePod(pod, reports.get(pod.uid), facts) ?? []);
}

/** Undefined if its sidecar has proven that its events reach the stream. */
function judgePod(
  { name }: CoreApiPod,
  stored: StoredReport | undefined,
  { now, freshMs }: CoverageFacts,
): Finding | undefined {
  if (stored === undefined) {
    const message = `pod ${name} has no sidecar that reports: read the log of its sidecar, or add one`;
    return { reason: 'SidecarMissing', message };
  }
  if (stored.report.goodbye) return { reason: 'SidecarMissing', message: `the sidecar of pod ${name} has ended` };
  const age = proofAge(stored, now);
  if (age <= freshMs) return undefined;
  // The moment, not the age: a message that changes constantly would be written again and again.
  const proof = age === Infinity ? 'has not confirmed' : `last confirmed at ${toSecond(now - age)}`;
  return { reason: 'ProofStale', message: `the sidecar of pod ${name} ${proof} that its events reach the stream` };
}

/** The state of the sidecar of one Core API pod. */
export interface PodCoverage {
  readonly name: string;
  /** `starting`: no requests are expected yet. */
  readonly state: 'covered' | 'starting' | 'uncovered';
  readonly message: string;
  /** Release of the sidecar, as reported; undefined without a report. */
  readonly release: string | undefined;
}

/** The same judgement as {@link decideCoverage}'s, pod by pod, for display. */
export function describePods(facts: CoverageFacts): PodCoverage[] {
  const reports = newestOfPods(facts.reports);
  return facts.pods.map((pod) => {
    const { name, uid } = pod;
    const stored = reports.get(uid);
    const finding = judgePod(pod, stored, facts);
    const release = stored?.report.release;
    const open = stored?.report.gaps.find(({ until }) => until === null);
    if (finding === undefined && open !== undefined) {
      const message = `the sidecar of pod ${name} misses writes since ${open.from} (${open.reason})`;
      return { name, release, state: 'uncovered', message };
    }
    if (finding === undefined) return { name, release, state: 'covered', message: `pod ${name} is covered` };
    if (mayServe(pod, facts)) return { name, release, state: 'uncovered', message: finding.message };
    return { name, release, state: 'starting', message: `pod ${name} does not serve yet` };
  });
}

function findStatic({ reports, staticCount = 0, now, freshMs }: CoverageFacts): Finding[] {
  const fresh = [...newestOfPods(reports).values()].filter(
    (stored) => isStatic(stored) && !stored.report.goodbye && proofAge(stored, now) <= freshMs,
  ).length;
  if (fresh >= staticCount) return [];
  const message = `${fresh} of ${staticCount} sidecars outside Kubernetes have confirmed that their events reach the stream`;
  return [{ reason: 'StaticSidecarsMissing', message }];
}

/** Open gaps of present sidecars; the losses of others are in `gaps`. */
function findOpenGaps({ reports, now, freshMs }: CoverageFacts, isConcerned: (gap: CoverageGap) => boolean): Finding[] {
  return (
    [...newestOfPods(reports).values()]
      .filter((stored) => now - stored.storedTime <= freshMs && !stored.report.goodbye)
      // Not by which of them reported last, or the message would change all the time.
      .toSorted((one, other) => one.report.instance.localeCompare(other.report.instance))
      .flatMap(({ report }) =>
        report.gaps
          .filter((gap) => gap.until === null && isConcerned(gap))
          .map(({ from, reason }) => ({
            reason: 'GapOpen' as const,
            message: `the sidecar of pod ${report.podName} misses writes since ${from} (${reason})`,
          })),
      )
  );
}

/** Milliseconds since the probe came back; Infinity if none ever did. */
function proofAge({ report, storedTime }: StoredReport, now: number): number {
  if (report.probe === null) return Infinity;
  return now - storedTime + Math.max(0, Date.parse(report.time) - Date.parse(report.probe.time));
}

const toSecond = (time: number) => new Date(Math.round(time / 1000) * 1000).toISOString().replace('.000Z', 'Z');

function reportedGaps({ reports }: CoverageFacts): SidecarGap[] {
  const successorOf = findSuccessors(reports);
  return reports.flatMap((stored) => {
    const end = successorOf(stored)?.report.startedTime ?? null;
    return stored.report.gaps.map((gap) => sidecarGap(stored.report, { ...gap, until: gap.until ?? end }));
  });
}

/**
 * A sidecar that stopped reporting without a final report may have lost writes that it had not sent; so may one whose
 * pod now reports with another spool.
 */
function vanishedGaps({ reports, pods, now, freshMs }: CoverageFacts): SidecarGap[] {
  const successorOf = findSuccessors(reports);
  return reports.flatMap((stored) => {
    const { report, storedTime } = stored;
    if (report.goodbye) return [];
    const successor = successorOf(stored);
    if (successor !== undefined) return [sidecarGap(report, lostGap(report, successor.report))];
    if (now - storedTime <= freshMs) return [];
    const mayServe = isStatic(stored) || pods.some(({ uid }) => uid === report.podUid);
    return [sidecarGap(report, vanishedGap(report, mayServe ? null : new Date(now).toISOString()))];
  });
}

const vanishedGap = ({ allSentUntil }: CoverageReport, until: string | null): CoverageGap => ({
  from: allSentUntil ?? new Date(0).toISOString(),
  until,
  reason: 'sidecarVanished',
  scope: null,
});

/**
 * The final reports, published by the operator, of sidecars that ended with their pods, or whose spools were lost,
 * without one of their own: stored in place of the report of this sequence, they record the end of the gap for every
 * replica, which would otherwise grow until they expire.
 */
export function closeVanished({ pods, reports, now, freshMs }: CoverageFacts): StoredReport[] {
  const time = new Date(now).toISOString();
  const successorOf = findSuccessors(reports);
  return reports.flatMap((stored) => {
    const { report, storedTime } = stored;
    if (report.goodbye) return [];
    const successor = successorOf(stored);
    if (successor !== undefined) return [closed(stored, lostGap(report, successor.report), time)];
    const isGone = now - storedTime > freshMs && !isStatic(stored) && !pods.some(({ uid }) => uid === report.podUid);
    return isGone ? [closed(stored, vanishedGap(report, time), time)] : [];
  });
}

/** @param time of the report: it is now the operator's, and by the stream's clock */
function closed({ report, ...stored }: StoredReport, last: CoverageGap, time: string): StoredReport {
  const gaps = report.gaps.map((gap) => ({ ...gap, until: gap.until ?? last.until }));
  return { ...stored, report: { ...report, time, gaps: [...gaps, last], goodbye: true } };
}

function uncoveredGaps(facts: CoverageFacts): SidecarGap[] {
  const time = new Date(facts.now).toISOString();
  return facts.pods
    .filter((pod) => mayServe(pod, facts) && !facts.reports.some(({ report }) => report.podUid === pod.uid))
    .map(({ uid, name, runningTime, readyTime = time }) =>
      sidecarGap(
        { podUid: uid, podName: name },
        { from: runningTime ?? readyTime, until: null, reason: 'noSidecar', scope: null },
      ),
    );
}

function sidecarGap({ podUid, podName }: Pick<CoverageReport, 'podUid' | 'podName'>, gap: CoverageGap): SidecarGap {
  const scope = gap.scope === null ? 'all' : 'named';
  return { ...gap, id: `${podUid}/${gap.reason}/${scope}/${gap.from}`, podUid, podName };
}

function isStatic({ report }: StoredReport): boolean {
  return report.namespace === '';
}
