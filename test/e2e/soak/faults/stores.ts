import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import type { TcpSwitch } from '../../../faults/tcp-switch.ts';
import type { HangingDisk } from '../../../integration/sidecar/hanging-disk.ts';
import type { Fault } from './faults.ts';

const LONGEST_MS = 10_000;

/** Core's address leads to a standby that lags behind, for some or all of the connections. */
export function createStandbyFaults(
  address: TcpSwitch,
  { primary, standby }: { primary: number; standby: number },
  clock: Clock = systemClock,
): Fault[] {
  return (['cut', 'keep'] as const).map((existing) => ({
    name: existing === 'cut' ? 'Core leads to a standby' : 'a standby in the pool',
    subject: 'core',
    weight: 3,
    async run(share) {
      address.lead(standby, existing);
      await clock.sleep(share * LONGEST_MS);
      address.lead(primary, existing);
    },
  }));
}

/** The volumes of all sidecars hang or are slow. */
export function createDiskFaults(disk: HangingDisk, clock: Clock = systemClock): Fault[] {
  return (['hang', 'slow'] as const).map((how) => ({
    name: how === 'hang' ? "the sidecars' disks hang" : "the sidecars' disks are slow",
    subject: 'disks',
    weight: 3,
    async run(share) {
      disk[how]();
      await clock.sleep(share * LONGEST_MS);
      disk.release();
    },
  }));
}
