import { isDeepStrictEqual } from 'node:util';
import type { Stores } from '@edge-migration/identity/converge.ts';
import { openCore } from '@edge-migration/identity/core/database.ts';
import { readRelease } from '@edge-migration/identity/core/release.ts';
import { askForDocument, createFailover, type Failover, isRefusal } from '@edge-migration/identity/edge/failover.ts';
import { type OtherRegions, openOtherRegions } from '@edge-migration/identity/edge/other-regions.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { EdgeError, type EdgeOptions, EdgeRefused, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { shareStores } from '@edge-migration/identity/shared-stores.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { isPassing } from '@edge-migration/runtime/retry.ts';
import type { ApplierConfiguration } from './config.ts';
import { isOutage, type Patience } from './patience.ts';

export type Credentials = NonNullable<EdgeOptions['credentials']>;

/** Both stores, as long as the process runs. */
export interface OpenStores extends Omit<Stores, 'release'>, AsyncDisposable {
  /** What the other regions have. */
  readonly regions: OtherRegions;
  /** In which region Edge is written; to be run from the beginning. */
  readonly failover: Failover;
  /** As it is now, with what Flagsmith release Core is of; shared by all that is converged at the same time. */
  now(): Stores;
  /** Learns what Core and Edge are, however long it takes. The signal ends whatever is read later, too; rejects with its reason. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Keeps an eye on it. Rejects with the signal's reason. */
  follow(signal: AbortSignal): Promise<never>;
}

export interface OpenOptions {
  readonly clock: Clock;
  readonly patience: Patience;
  readonly log: Logger;
  readonly credentials: Credentials | undefined;
  /** Ends what is asked of other regions. */
  readonly signal: AbortSignal;
}

/** Another release of Flagsmith, or another region of Edge, may be installed at any time in the weeks that replay goes on. */
const RELEASE_MILLIS = 60_000;

export function openStores(
  configuration: ApplierConfiguration,
  { clock, patience, log, credentials, signal: closing }: OpenOptions,
): OpenStores {
  const core = openCore(configuration, {
    maxConnections: configuration.maxDatabaseConnections,
    applicationName: 'edge-applier',
  });
  const budget = createWriteBudget({ clock, maximum: configuration.maxWriteUnitsPerSecond });
  const edge = openEdge(configuration, { clock, budget, ...(credentials && { credentials }) });
  const regions = openOtherRegions(edge, configuration, {
    clock,
    log,
    signal: closing,
    ...(credentials && { credentials }),
  });
  const isRefused = () => patience.outages().some(isRefusal);
  const failover = createFailover(edge, regions, configuration, { clock, log, isRefused });
  let current: Stores | undefined;
  let isUndescribed = false;

  /** Whether Edge is there at all: it may be long until the next event. Refusals are told where something is to be done. */
  const ask = (signal: AbortSignal) =>
    askForDocument(edge, { signal }).catch((error: unknown) => {
      if (!(error instanceof EdgeError) || isPassing(error)) throw error;
    });

  /** Which guarantees Edge's tables give; without the right to ask, the least is assumed. */
  async function describe(signal: AbortSignal): Promise<void> {
    const look = async () => {
      await ask(signal);
      await edge.describe({ signal }).catch((error: unknown) => {
        if (!(error instanceof EdgeRefused)) throw error;
        if (!isUndescribed) log.warn({ err: error }, 'It cannot be looked up in which regions the tables of Edge are');
        isUndescribed = true;
      });
    };
    await patience.persist(look, signal);
  }

  async function prepare(signal: AbortSignal): Promise<void> {
    await describe(signal);
    const release = await patience.persist(() => readRelease(core, signal), signal);
    if (isDeepStrictEqual(release, current?.release)) return;
    current = shareStores({ core, edge, clock, release }, { signal, isOutage });
  }

  return {
    core,
    edge,
    clock,
    regions,
    failover,
    prepare,
    now() {
      if (current === undefined) throw new TypeError('The stores are not prepared');
      return current;
    },
    async follow(signal) {
      for (;;) {
        await clock.sleep(RELEASE_MILLIS, signal);
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
