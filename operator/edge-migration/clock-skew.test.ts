import { expect, test } from 'vitest';
import { createClocks, describeSkew } from './clock-skew.ts';

test('a clock that is more than five seconds wrong is named with the remedy', () => {
  const clocks = [
    { process: 'applier edge-applier-1', ahead: 300_000 },
    { process: 'the sidecar of pod api-1', ahead: -7_000 },
    { process: 'the operator', ahead: 4_900 },
  ];
  expect(describeSkew(clocks)).toMatchObject({
    reason: 'ClockSkew',
    message: expect.stringMatching(
      /applier edge-applier-1 is 5 min ahead, the sidecar of pod api-1 is 5 s behind; .*time synchronisation of their nodes/,
    ),
  });
  expect(describeSkew(clocks.slice(2))).toBeUndefined();
});

test('two clocks of one node are named in the same order, whichever report took a millisecond longer', () => {
  const say = (one: number, two: number) =>
    describeSkew([
      { process: 'applier one', ahead: one },
      { process: 'applier two', ahead: two },
    ])?.message;
  expect(say(8_000, 8_001)).toBe(say(8_001, 8_000));
});

test('a clock more than ten minutes wrong is reported with possible loss of writes', () => {
  expect(describeSkew([{ process: 'the operator', ahead: 601_000 }])?.message).toMatch(/may be lost/);
});

test('NATS is named when all clocks differ from its own by the same amount', () => {
  const clocks = ['the operator', 'applier one', 'applier two'].map((process) => ({ process, ahead: -60_000 }));
  expect(describeSkew(clocks)?.message).toMatch(/nodes of NATS/);
});

test('a single report that was long under way does not make its clock count as behind', () => {
  const clocks = createClocks();
  expect(clocks.notice('one', 1, -20_000)).toEqual({ ahead: -20_000, isSure: false });
  expect(clocks.notice('one', 1, -20_000).isSure).toBe(false);
  expect(clocks.notice('one', 2, -10)).toEqual({ ahead: -10, isSure: true });
});

test('a clock that stays wrong is reported, and no longer once it is corrected', () => {
  const clocks = createClocks();
  for (let report = 1; report <= 3; report++) clocks.notice('one', report, 300_000);
  expect(clocks.notice('one', 4, 0)).toEqual({ ahead: 300_000, isSure: true });
  for (let report = 5; report <= 6; report++) clocks.notice('one', report, 0);
  expect(clocks.notice('one', 6, 0)).toEqual({ ahead: 0, isSure: true });
});

test('the clock of a process is forgotten with the process', () => {
  const clocks = createClocks();
  clocks.notice('one', 1, 300_000);
  clocks.keep(new Set());
  expect(clocks.notice('one', 2, 0)).toEqual({ ahead: 0, isSure: false });
});
