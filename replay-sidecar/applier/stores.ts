import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import { openCore } from '@edge-migration/identity/core/database.ts';
import { type CoreRelease, readRelease } from '@edge-migration/identity/core/release.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { type EdgeOptions, openEdge } from '@edge-migration/identity/edge/table.ts';
import type { ApplierConfiguration } from './config.ts';
import type { Patience } from './patience.ts';

export type Credentials = NonNullable<EdgeOptions['credentials']>;

/** Both stores, as long as the process runs. */
export interface OpenStores extends Omit<Stores, 'release'>, AsyncDisposable {
  /** As it is now, with what Flagsmith release Core is of. */
  now(): Stores;
  /** Learns what Core is, however long it takes. Rejects with the signal's reason. */
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
  let release: CoreRelease | undefined;

  async function prepare(signal: AbortSignal): Promise<void> {
    release = await patience.persist(() => readRelease(core, signal), signal);
  }

  return {
    core,
    edge,
    clock,
    prepare,
    now() {
      if (release === undefined) throw new TypeError('The stores are not prepared');
      return { core, edge, clock, release };
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
