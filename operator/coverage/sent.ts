import type { CoverageFacts, StoredReport } from './decide.ts';
import { newestOfPods } from './successors.ts';

/** How far all sidecars together have sent. */
export interface Sent {
  /** Epoch milliseconds: every write that began before is in the stream or in a gap. Undefined if unknown. */
  until: number | undefined;
  /** Names the pod that is furthest behind, and the reason; undefined if there is none. */
  laggard: string | undefined;
}

/**
 * What every sidecar that may still exist has sent. A silent one may be frozen and send the rest when it resumes. One
 * that has never reported may hold everything that its pod has served since it started, and one with a final report, in
 * a pod that still runs, everything after its restart. Once a pod is gone, the operator publishes the final report for
 * its sidecar.
 */
export function findSent(facts: CoverageFacts): Sent {
  const each = [...sentByReporters(facts), ...sentByOthers(facts)];
  const start: Sent = { until: facts.now, laggard: undefined };
  // Of several that are equally far, the same one each time.
  const byName = each.toSorted((one, other) => (one.laggard ?? '').localeCompare(other.laggard ?? ''));
  return byName.reduce((last, sent) => (timeOf(sent) < timeOf(last) ? sent : last), start);
}

const timeOf = ({ until = Number.NEGATIVE_INFINITY }: Sent): number => until;

function sentByReporters({ reports, pods }: CoverageFacts): Sent[] {
  const newest = newestOfPods(reports);
  const isRunning = (uid: string) => pods.some((pod) => pod.uid === uid && pod.runningTime !== undefined);
  const isPresent = (stored: StoredReport) => {
    const { podUid, goodbye } = stored.report;
    return !goodbye || (newest.get(podUid) === stored && isRunning(podUid));
  };
  return reports.filter(isPresent).map(({ report: { podName, allSentUntil, goodbye } }) => ({
    until: allSentUntil === null ? undefined : Date.parse(allSentUntil),
    laggard: goodbye
      ? `the sidecar of pod ${podName} said goodbye, and its pod still runs`
      : `the sidecar of pod ${podName} has not sent everything yet, or is silent: see condition Capturing`,
  }));
}

function sentByOthers({ pods, reports }: CoverageFacts): Sent[] {
  return pods.flatMap(({ uid, name, runningTime }) => {
    if (runningTime === undefined || reports.some(({ report }) => report.podUid === uid)) return [];
    const laggard = `pod ${name} has no sidecar that ever reported: let it reach NATS (see its log), or replace the pod; what it has not sent is then a gap`;
    return [{ until: Date.parse(runningTime), laggard }];
  });
}
