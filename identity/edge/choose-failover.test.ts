import { describe, expect, test } from 'vitest';
import { chooseFailover, type FailoverView } from './choose-failover.ts';

const SETTINGS = { failoverAfterSeconds: 60, failoverReturnSeconds: 300 };

describe('chooseFailover', () => {
  const view: FailoverView = {
    ...{ silentSeconds: 0, isAway: false, answeringSeconds: undefined, awaited: undefined },
    ...{ isRefused: false, refusedSeconds: 0 },
  };
  const away = { ...view, isAway: true };

  test.each<[string, FailoverView, string]>([
    ['the region that is written answers', view, 'stay'],
    ['it has been silent for less than what is configured', { ...view, silentSeconds: 59 }, 'stay'],
    ['it has been silent for long', { ...view, silentSeconds: 60 }, 'leave'],
    ['the other region has become silent, too', { ...away, silentSeconds: 60 }, 'leave'],
    ['the home region does not answer', away, 'stay'],
    ['the home region has not answered for long enough', { ...away, answeringSeconds: 299 }, 'stay'],
    ['the home region has answered for long enough', { ...away, answeringSeconds: 300 }, 'await'],
    ['the region that is written refuses', { ...away, answeringSeconds: 300, isRefused: true }, 'return'],
    ['it refuses, and home is not back yet', { ...away, answeringSeconds: 299, isRefused: true }, 'stay'],
    ['it has refused for long, and the home region does not answer', { ...away, refusedSeconds: 60 }, 'leave'],
    ['it has refused for less than what is configured', { ...away, refusedSeconds: 59 }, 'stay'],
    ['it has refused for long, and home is coming back', { ...away, refusedSeconds: 60, answeringSeconds: 1 }, 'stay'],
    ['the home region has refused for long', { ...view, refusedSeconds: 999 }, 'stay'],
    ['it lacks what was written elsewhere', { ...away, answeringSeconds: 999, awaited: 1 }, 'stay'],
    ['it has what was written elsewhere', { ...away, answeringSeconds: 999, awaited: 0 }, 'return'],
  ])('the choice is right while %s', (_, seen, choice) => {
    expect(chooseFailover(seen, SETTINGS)).toBe(choice);
  });

  test('the written region is never left unless failover is configured', () => {
    expect(chooseFailover({ ...view, silentSeconds: 1e9 }, { ...SETTINGS, failoverAfterSeconds: 0 })).toBe('stay');
  });
});
