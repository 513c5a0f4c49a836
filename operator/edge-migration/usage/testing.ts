import { coverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { markOf } from '@edge-migration/contract/reports/sketch.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { ReferencedEnvironment } from '@edge-migration/identity/core/environment-references.ts';
import { nameClient } from '@edge-migration/replay-sidecar/capture/usage/client-name.ts';
import { Usage, type UsageKind } from '@edge-migration/replay-sidecar/capture/usage/usage.ts';
import type { StoredReport } from '../../coverage/decide.ts';
import { toStoreTime } from '../../coverage/store-time.ts';
import { UsageCounts } from './usage-counts.ts';

/** Ids in Core by client key; all belong to project 42. */
const ENVIRONMENTS: Readonly<Record<string, number>> = { production: 1, staging: 2 };

export interface TestSidecar {
  /** A request from an SDK with this User-Agent that Core accepted. */
  serve(key: string, agent: string, kind: UsageKind, count?: number): void;
  /** Requests from one client that write an identity each. */
  write(key: string, agent: string, identifiers: readonly string[]): void;
  /** One request that writes all of them. */
  writeBulk(key: string, agent: string, identifiers: readonly string[]): void;
  /** More identities of a request that was counted already. */
  name(key: string, identifiers: readonly string[]): void;
  /** Another process starts in the same pod. */
  restart(): void;
  /** The process ends with its pod. */
  end(): void;
}

/** Sidecars, the stream with their last reports, and the operator that reads it, all on one clock. */
export interface TestFleet {
  now: number;
  sidecar(pod: string, options?: { counts?: boolean; ahead?: number }): TestSidecar;
  /** Puts a report into the stream unchanged. */
  store(stored: StoredReport): void;
  /** The reports now in the stream, after each living sidecar has sent another one. */
  reports(): StoredReport[];
  /** An operator process that knows nothing of the previous one. */
  operator(): UsageCounts;
  follow(counts: UsageCounts): Promise<void>;
}

export function createFleet(start: number): TestFleet {
  const stream = new Map<string, StoredReport>();
  const living = new Map<string, () => void>();
  let sequence = 0;

  const fleet: TestFleet = {
    now: start,
    sidecar(pod, { counts = true, ahead = 0 } = {}) {
      const clock = { now: () => fleet.now + ahead };
      let usage = new Usage(clock);
      let startedTime = new Date(clock.now()).toISOString();
      const send = (goodbye: boolean) => {
        const time = new Date(clock.now()).toISOString();
        const text = JSON.stringify({
          version: 1,
          ...{ instance: `${pod}/uid-${pod}`, podUid: `uid-${pod}`, podName: pod, namespace: 'flagsmith', node: 'n' },
          ...{ release: '0.1.0', spoolId: 'spool', startedTime, time, spoolDepth: 0, spoolBytes: 0 },
          ...{ oldestUnsentTime: null, allSentUntil: time, gaps: [], probe: { sequence: 1, time }, goodbye },
          ...(counts && { usage: usage.page() }),
        });
        sequence += 1;
        const report = toStoreTime(coverageReport.parse(JSON.parse(text)), ahead);
        stream.set(pod, { report, sequence, storedTime: fleet.now });
      };
      living.set(pod, () => send(false));
      const write = (clientKey: string, value: string, identifiers: readonly string[]) => {
        const client = nameClient({ fields: [{ name: 'User-Agent', lower: 'user-agent', value }] });
        usage.note({ clientKey }, client, 'write', identifiers.map(markOf));
      };
      return {
        writeBulk: write,
        name: (clientKey, identifiers) => usage.name({ clientKey }, identifiers.map(markOf)),
        serve(clientKey, value, kind, count = 1) {
          const client = nameClient({ fields: [{ name: 'User-Agent', lower: 'user-agent', value }] });
          for (let served = 0; served < count; served += 1) usage.note({ clientKey }, client, kind);
        },
        write(clientKey, value, identifiers) {
          for (const identifier of identifiers) write(clientKey, value, [identifier]);
        },
        restart() {
          send(false);
          usage = new Usage(clock);
          startedTime = new Date(clock.now()).toISOString();
        },
        end() {
          send(true);
          living.delete(pod);
        },
      };
    },
    store(stored) {
      stream.set(`${stored.report.podUid} ${stored.sequence}`, stored);
    },
    reports() {
      for (const send of living.values()) send();
      return [...stream.values()];
    },
    operator: () =>
      new UsageCounts({
        readEnvironments: async (references) =>
          new Map(
            references.flatMap((reference): [string, ReferencedEnvironment][] => {
              const environmentId = 'clientKey' in reference ? ENVIRONMENTS[reference.clientKey] : undefined;
              return environmentId === undefined ? [] : [[scopeName(reference), { environmentId, projectId: 42 }]];
            }),
          ),
        isMigrated: (projectId) => projectId === 42,
        clock: { monotonic: () => fleet.now },
        freshMs: 30_000,
      }),
    follow: (counts) => counts.follow(fleet.reports(), fleet.now, new AbortController().signal),
  };
  return fleet;
}
