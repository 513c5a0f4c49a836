import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import { openCore } from '@edge-migration/identity/core/database.ts';
import { readRelease } from '@edge-migration/identity/core/release.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { type EdgeOptions, openEdge } from '@edge-migration/identity/edge/table.ts';
import { shareStores } from '@edge-migration/identity/shared-stores.ts';
import type { ApplierConfiguration } from './config.ts';
import { isOutage, type Patience } from './patience.ts';

export type Credentials = NonNullable<EdgeOptions['credentials']>;

/** Both stores, as long as the process runs. */
export interface OpenStores extends Omit<Stores, 'release'>, AsyncDisposable {
  /** As it is now, with what Flagsmith release Core is of; shared by all that is converged at the same time. */
  now(): Stores;
  /** Learns what Core is, however long it takes. The signal ends whatever is read later, too; rejects with its reason. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Keeps an eye on it. Rejects with the signal's reason. */
  follow(signal: AbortSignal): Promise<never>;
}

/** Another release of Flagsmith may be installed at any time in the weeks that replay goes on. */
const RELEASE_MILLIS = 60_000;

export function openStores(
  configuration: ApplierConfiguration,
  { clock, patience, credentials }: { clock: Clock; patience: Patience; credentials: Credentials | undefined },
): OpenStores {
  const core = openCore(configuration, {
    maxConnections: configuration.maxDatabaseConnections,
    applicationName: 'edge-applier',
  });
  const budget = createWriteBudget({ clock, maximum: configuration.maxWriteUnitsPerSecond });
  const edge = openEdge(configuration, { clock, budget, ...(credentials && { credentials }) });
  let current: Stores | undefined;

  async function prepare(signal: AbortSignal): Promise<void> {
    const release = await patience.persist(() => readRelease(core, signal), signal);
    if (isDeepStrictEqual(release, current?.release)) return;
    current = shareStores({ core, edge, clock, release }, { signal, isOutage });
  }

  return {
    core,
    edge,
    clock,
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
      edge.close();
      await core.close();
    },
  };
}
