import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import type { Way } from '../../../cluster/global-table/global-table.ts';
import type { Fault } from './faults.ts';

const LONGEST_DARK_MILLIS = 40_000;
const LONGEST_REFUSAL_MILLIS = 15_000;

/** The product's endpoints of both regions; Edge clients have their own. */
export interface Ways {
  readonly home: Way;
  readonly other: Way;
  /** Runs a function while the product cannot reach the home region, even if that was already so. */
  inTheDark(meanwhile: () => Promise<void>): Promise<void>;
}

export function createWays(home: Way, other: Way): Ways {
  let reasons = 0;
  return {
    home,
    other,
    async inTheDark(meanwhile) {
      if (reasons++ === 0) home.goDark();
      try {
        await meanwhile();
      } finally {
        if (--reasons === 0) home.comeBack();
      }
    },
  };
}

/** For a while the product cannot reach the home region, or one of the regions refuses its writes. */
export function createHomeFaults({ home, other, inTheDark }: Ways, clock: Clock = systemClock): Fault[] {
  const refuse = (way: Way) => async (share: number) => {
    way.refuseWrites(true);
    await clock.sleep(share * LONGEST_REFUSAL_MILLIS);
    way.refuseWrites(false);
  };
  return [
    {
      name: 'the home region is dark',
      subject: 'home region',
      weight: 3,
      run: (share) => inTheDark(() => clock.sleep(share * LONGEST_DARK_MILLIS)),
    },
    { name: 'the home region refuses writes', subject: 'home region', weight: 1, run: refuse(home) },
    { name: 'the other region refuses writes', subject: 'other region', weight: 1, run: refuse(other) },
  ];
}
