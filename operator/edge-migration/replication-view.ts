import type { EdgeStatus } from '@edge-migration/contract/edge-migration/api.ts';
import { findInactiveReplicas, nameReplica, type Replication } from '@edge-migration/identity/edge/replication.ts';
import type { EdgeStore, TableFacts } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { REGIONS_POLL_MS } from '@edge-migration/runtime/policies.ts';

/** The regions of Edge's tables, as last seen. Nothing waits for it. */
export interface ReplicationView {
  /** Undefined until it is known. */
  now(): EdgeStatus | undefined;
  /** Checks now and then, until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** @param edge with short timeouts: a failed check is followed by another one */
export function createReplicationView(
  edge: Pick<EdgeStore, 'describe'>,
  { clock, logger }: { clock: Pick<Clock, 'sleep'>; logger: Pick<Logger, 'warn' | 'info'> },
): ReplicationView {
  let known: EdgeStatus | undefined;
  let failing = false;

  async function describeRegions(signal: AbortSignal): Promise<void> {
    try {
      const { identities, overrideRows } = await edge.describe({ signal });
      known = summariseReplication([identities, ...(overrideRows === undefined ? [] : [overrideRows])]);
      failing = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!failing) logger.warn({ err: error }, 'the regions of the tables of Edge cannot be determined');
      failing = true;
    }
  }

  return {
    now: () => known,
    async run(signal) {
      while (!signal.aborted) {
        await describeRegions(signal);
        await clock
          .sleep(known === undefined ? REGIONS_POLL_MS.unknown : REGIONS_POLL_MS.known, signal)
          .catch(() => {});
      }
    },
  };
}

/** Both tables combined: the weaker consistency, and the regions of either, the home region first. */
export function summariseReplication(tables: readonly Pick<TableFacts, 'replication' | 'region'>[]): EdgeStatus {
  const replications = tables.map(({ replication }) => replication);
  const consistency = replications.map(consistencyOf).toSorted(byWeakness)[0] ?? 'SingleRegion';
  const replicas = replications.flatMap((one) => (one.kind === 'GlobalTable' ? one.replicas : []));
  // DynamoDB lists them in any order.
  const others = replicas.map(({ region }) => region).toSorted();
  const regions = new Set([...tables.map(({ region }) => region), ...others]);
  const inactive = new Set(replications.flatMap(findInactiveReplicas).map(nameReplica).toSorted());
  const legacy = replications.some((one) => one.kind === 'GlobalTable' && one.version === '2017.11.29');
  return {
    consistency,
    regions: [...regions],
    ...(legacy && { legacyVersion: true }),
    ...(inactive.size > 0 && { inactiveReplicas: [...inactive] }),
  };
}

const WEAKEST_FIRST = ['Eventual', 'Unknown', 'Strong', 'SingleRegion'] as const;

const byWeakness = (one: EdgeStatus['consistency'], other: EdgeStatus['consistency']) =>
  WEAKEST_FIRST.indexOf(one) - WEAKEST_FIRST.indexOf(other);

function consistencyOf(replication: Replication): EdgeStatus['consistency'] {
  if (replication.kind === 'GlobalTable') return replication.consistency;
  return replication.isUnsure ? 'Unknown' : 'SingleRegion';
}
