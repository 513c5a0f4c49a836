import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import type { ObjectChange } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { CoreApiPod, StoredReport } from '../coverage/decide.ts';

/**
 * Pods of the Core API that ran and are gone, until it is known whether a sidecar ever reported for them. Caches and
 * the decisions based on them see only present pods; a pod without a sidecar may come and go between two reads.
 */
export interface Departures {
  /** For the cache of the pods. */
  notice(change: ObjectChange<CoreApiPod>): void;
  /**
   * Last words for pods that have none among the reports, which were read after this call's departures were noticed:
   * the gap of a pod without a sidecar, from its start to its end. The other pods are forgotten.
   */
  findUnheard(reports: readonly StoredReport[]): CoverageReport[];
  /** Its last words are in the stream. */
  forget(podUid: string): void;
}

/** @param namespace the Core API's */
export function createDepartures(clock: Pick<Clock, 'now'>, namespace: string): Departures {
  const gone = new Map<string, { name: string; from: string; until: string }>();
  return {
    notice(change) {
      const before = 'previous' in change ? change.previous : undefined;
      const now = 'object' in change && change.type !== 'unreadable' ? change.object : undefined;
      if (before?.runningTime === undefined || now?.runningTime !== undefined || change.type === 'unreadable') return;
      const until = new Date(clock.now()).toISOString();
      if (!gone.has(before.uid)) gone.set(before.uid, { name: before.name, from: before.runningTime, until });
    },
    findUnheard(reports) {
      for (const { report } of reports) gone.delete(report.podUid);
      const time = new Date(clock.now()).toISOString();
      return [...gone].map(([podUid, pod]) => describeUnheard({ podUid, namespace, time, ...pod }));
    },
    forget: (podUid) => void gone.delete(podUid),
  };
}

interface Unheard {
  podUid: string;
  name: string;
  namespace: string;
  from: string;
  until: string;
  /** Time of the report: its distance to when it is stored is taken as the difference of two clocks. */
  time: string;
}

function describeUnheard({ podUid, name: podName, namespace, from, until, time }: Unheard): CoverageReport {
  const start = Math.min(Date.parse(from), Date.parse(until));
  return {
    version: 1,
    instance: `${podName}/${podUid}`,
    podUid,
    podName,
    namespace,
    node: '',
    release: '',
    startedTime: time,
    time,
    spoolDepth: 0,
    spoolBytes: 0,
    oldestUnsentTime: null,
    allSentUntil: time,
    gaps: [{ from: new Date(start).toISOString(), until, reason: 'noSidecar', scope: null }],
    probe: null,
    goodbye: true,
  };
}
