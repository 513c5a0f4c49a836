import { expect, test } from 'vitest';
import { runSoak } from './soak/soak.ts';

const MINUTES = 60_000;

test('Edge agrees with Core, and keeps what Edge clients wrote, whatever is killed or frozen meanwhile', {
  timeout: 45 * MINUTES,
}, async () => {
  const { violations, gaps, excused, canariesMissing, ...result } = await runSoak({
    seconds: 90,
    rate: 25,
    seed: 20_261_123,
    identities: 600,
    faultPauseSeconds: [3, 8],
    say: () => {},
  });
  // Containers that are killed keep their spool: there is no gap but for the time in which both operators were dead, and not even
  // that one excuses a difference.
  const others = gaps.filter(({ reason }) => reason !== 'notWatched');
  expect({ violations, others, excused, canariesMissing }).toEqual({
    violations: [],
    others: [],
    excused: 0,
    canariesMissing: 0,
  });
  expect(result.writes.acknowledged).toBeGreaterThan(500);
  expect(result.edgeWrites).toBeGreaterThan(50);
  expect(result.faults.length).toBeGreaterThan(5);
});
