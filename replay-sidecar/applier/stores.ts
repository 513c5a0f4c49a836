import type { Stores } from '@edge-migration/identity/converge.ts';
import { openCore } from '@edge-migration/identity/core/core.ts';
import { askForDocument, Failover } from '@edge-migration/identity/edge/failover.ts';
import { type OtherRegions, openOtherRegions } from '@edge-migration/identity/edge/other-regions.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { EdgeError, type EdgeOptions, EdgeRefusedError, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { isRefusal } from '@edge-migration/identity/edge/written-elsewhere.ts';
import { type SharedStores, shareStores } from '@edge-migration/identity/shared-stores.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { STORES_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { isPassing } from '@edge-migration/runtime/retry.ts';
import type { ApplierConfiguration } from './config.ts';
import { type EventRetry, isOutage } from './event-retry.ts';

export type Credentials = NonNullable<EdgeOptions['credentials']>;

/** Both stores, for the life of the process. */
export interface ApplierStores extends Stores, AsyncDisposable {
  /** The same, for everything that is converged at the same time. */
  readonly shared: SharedStores;
  /** The state of the other regions. */
  readonly regions: OtherRegions;
  /** The region in which Edge is written; to be run from the beginning. */
  readonly failover: Failover;
  /** Learns what Core and Edge are, however long it takes. Rejects with the signal's reason. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Keeps checking that. Rejects with the signal's reason. */
  follow(signal: AbortSignal): Promise<never>;
}

export interface OpenOptions {
  readonly clock: Clock;
  readonly eventRetry: EventRetry;
  readonly logger: Logger;
  readonly credentials: Credentials | undefined;
  /** Ends requests to other regions. */
  readonly signal: AbortSignal;
}

export function openApplierStores(
  configuration: ApplierConfiguration,
  { clock, eventRetry, logger, credentials, signal: closing }: OpenOptions,
): ApplierStores {
  const core = openCore(configuration, {
    maxConnections: configuration.maxDatabaseConnections,
    applicationName: 'edge-applier',
    clock,
  });
  const budget = createWriteBudget({ clock, maximum: configuration.maxWriteUnitsPerSecond });
  const edge = openEdge(configuration, { clock, budget, ...(credentials && { credentials }) });
  const regions = openOtherRegions(edge, configuration, {
    clock,
    logger,
    signal: closing,
    ...(credentials && { credentials }),
  });
  const isRefused = () => eventRetry.outages().some(isRefusal);
  const failover = new Failover(edge, regions, configuration, { clock, logger, isRefused });
  let isUndescribed = false;

  /** Whether Edge is there at all: the next event may be far off. Refusals are reported where there is work. */
  const ask = (signal: AbortSignal) =>
    askForDocument(edge, { signal }).catch((error: unknown) => {
      if (!(error instanceof EdgeError) || isPassing(error)) throw error;
    });

  /** The guarantees of Edge's tables; without permission to ask, the least is assumed. */
  async function describe(signal: AbortSignal): Promise<void> {
    const describeTables = async () => {
      await ask(signal);
      await edge.describe({ signal }).catch((error: unknown) => {
        if (!(error instanceof EdgeRefusedError)) throw error;
        if (!isUndescribed) logger.warn({ err: error }, 'the regions of the tables of Edge cannot be determined');
        isUndescribed = true;
      });
    };
    await eventRetry.run(describeTables, signal);
  }

  async function prepare(signal: AbortSignal): Promise<void> {
    await describe(signal);
    await eventRetry.run(() => core.server.release(signal), signal);
  }

  return {
    core,
    edge,
    clock,
    regions,
    failover,
    shared: shareStores({ core, edge, clock }, { signal: closing, isOutage }),
    prepare,
    async follow(signal) {
      for (;;) {
        await clock.sleep(STORES_POLL_MS, signal);
        await prepare(signal);
      }
    },
    async [Symbol.asyncDispose]() {
      regions.close();
      edge.close();
      await core.close();
    },
  };
}
