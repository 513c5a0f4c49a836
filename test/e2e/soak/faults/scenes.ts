import type { Postgres } from '../../../cluster/postgres.ts';
import { startTcpSwitch } from '../../../faults/tcp-switch.ts';
import { createHangingDisk, hasCompiler } from '../../../integration/sidecar/hanging-disk.ts';
import type { Installation, InstallationOptions } from '../../installation.ts';
import type { Random } from '../random.ts';
import { createClocks } from './clocks.ts';
import type { Fault } from './faults.ts';
import { createDiskFaults, createStandbyFaults } from './stores.ts';
import { createStreamFaults } from './streams.ts';
import type { Targets } from './targets.ts';

/** Kinds of faults besides killed and frozen processes; `home` requires two regions (regions.ts). */
export const SCENES = ['streams', 'clocks', 'standby', 'disks', 'home'] as const;
export type Scene = (typeof SCENES)[number];

/** Their requirements on an installation, and their effects on it. */
export interface Scenery extends AsyncDisposable {
  readonly options: InstallationOptions;
  /** Called before anything except the initial data is written to Core. */
  prepare(installation: Installation, targets: Targets, random: Random): Promise<Fault[]>;
}

/** Mount path of the sidecars' volume. */
const SPOOL_VOLUME = '/var/spool/edge-migration';

/** @throws Error when there is no C compiler for `disks` */
export async function createScenery(scenes: readonly Scene[]): Promise<Scenery> {
  await using creating = new AsyncDisposableStack();
  const clocks = scenes.includes('clocks') ? creating.use(createClocks()) : undefined;
  if (scenes.includes('disks') && !hasCompiler())
    throw new Error('Disks that hang need a C compiler: leave out "disks"');
  const disk = scenes.includes('disks') ? creating.use(createHangingDisk(SPOOL_VOLUME)) : undefined;
  const address = scenes.includes('standby') ? creating.use(await startTcpSwitch()) : undefined;
  const resources = creating.move();

  async function prepareStandby(postgres: Postgres): Promise<Fault[]> {
    if (address === undefined) return [];
    const standby = resources.use(await postgres.startStaleStandby());
    return createStandbyFaults(address, { primary: postgres.port, standby: standby.port });
  }

  return {
    options: {
      operatorEnvironment: { ...clocks?.environment },
      applierEnvironment: { ...clocks?.environment },
      sidecarEnvironment: { ...clocks?.environment, ...disk?.env },
      ...(address && {
        databasePort: async (real) => {
          address.lead(real, 'keep');
          return address.port;
        },
      }),
    },
    async prepare({ cluster }, targets, random) {
      return [
        ...(scenes.includes('streams') ? createStreamFaults(cluster.nats) : []),
        ...(clocks?.faults(['applier', 'sidecar', 'operator'], targets, random) ?? []),
        ...(await prepareStandby(cluster.postgres)),
        ...(disk === undefined ? [] : createDiskFaults(disk)),
      ];
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
