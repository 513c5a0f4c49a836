import type { Condition, EdgeMigration, Status } from '@edge-migration/contract/edge-migration/api.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { migration as build, NOON } from '../edge-migration/testing/facts.ts';
import {
  decideExtend,
  decideFinish,
  decidePlan,
  decideRequest,
  decideResume,
  decideStart,
  decideSuspend,
  type SpecChange,
} from './change.ts';
import { warningsOf } from './edit.ts';

const DAY = 86_400;
const HOUR_AGO = '2026-05-04T11:00:00Z';

const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: HOUR_AGO,
});

const KEEP = { copy: { onConflict: 'KeepEdge' } };
const codesOf = (change: SpecChange) => warningsOf(change).map(({ code }) => code);

/** Copied an hour ago, with replay since then. */
function following(spec: Record<string, unknown> = {}, status: Status = {}): EdgeMigration {
  const conditions = [condition('Copied', 'True', 'Complete'), condition('Succeeded', 'Unknown', 'Replaying')];
  return build({ status: { conditions, copy: { completionTime: HOUR_AGO }, ...status } }, spec);
}

const plan = () => build({}, { mode: 'Plan' });

describe('start', () => {
  test('creates the migration with the given settings, and leaves the others to the cluster', () => {
    expect(decideStart(undefined, 42, { copy: { parallelism: 8 } })).toMatchObject({
      kind: 'create',
      spec: { projectId: 42, mode: 'Migrate', copy: { parallelism: 8 } },
    });
  });

  test('turns a plan into a migration', () => {
    expect(decideStart(plan(), 42, {})).toMatchObject({ kind: 'patch', spec: { mode: 'Migrate' } });
  });

  test('changes nothing the second time, and reports if the migration is suspended', () => {
    expect(decideStart(following(), 42, {})).toMatchObject({ kind: 'leave' });
    expect(decideStart(following({ suspend: true }), 42, {})).toMatchObject({ message: 'is suspended: resume it' });
  });

  test('asks for confirmation, only once, if Core is to overwrite what apps have written to Edge', () => {
    const coreWins = { copy: { onConflict: 'CoreWins' } };
    expect(codesOf(decideStart(undefined, 42, coreWins))).toEqual(['edge_overwritten']);
    expect(codesOf(decideStart(following(), 42, coreWins))).toEqual(['edge_overwritten']);
    expect(codesOf(decideStart(build({}, { mode: 'Plan', ...coreWins }), 42, {}))).toEqual(['edge_overwritten']);
    expect(codesOf(decideStart(build({}, coreWins), 42, { copy: { pageSize: 10 } }))).toEqual([]);
    expect(codesOf(decideStart(build({}, { mode: 'Plan', ...coreWins }), 42, KEEP))).toEqual([]);
  });

  test('changes the window of an incomplete copy, and refuses to change that of a complete one', () => {
    const window = (windowSeconds: number) => ({ replay: { windowSeconds } });
    expect(decideStart(build(), 42, window(60))).toMatchObject({ kind: 'patch', spec: window(60) });
    expect(decideStart(plan(), 42, window(60))).toMatchObject({ kind: 'patch' });
    for (const seconds of [60, 400 * DAY, null as unknown as number])
      expect(decideStart(following(), 42, window(seconds))).toMatchObject({ kind: 'refuse' });
    expect(decideStart(following(window(60)), 42, window(60))).toMatchObject({ kind: 'patch' });
    expect(decideStart(following(), 42, { copy: { pageSize: 10 } })).toMatchObject({ kind: 'patch' });
  });

  test('is refused while the migration is being deleted', () => {
    expect(decideStart(build({ deleting: true }), 42, {})).toMatchObject({ kind: 'refuse' });
  });
});

describe('plan', () => {
  test('creates a plan', () => {
    expect(decidePlan(undefined, 42, {})).toMatchObject({ kind: 'create', spec: { projectId: 42, mode: 'Plan' } });
  });

  test('leaves an existing plan unchanged, and refuses to turn a migration into one', () => {
    expect(decidePlan(plan(), 42, {})).toMatchObject({ kind: 'leave' });
    expect(decidePlan(following(), 42, {})).toMatchObject({ kind: 'refuse' });
  });
});

describe('suspend and resume', () => {
  test('only change spec.suspend', () => {
    expect(decideSuspend(following())).toMatchObject({ kind: 'patch', spec: { suspend: true } });
    expect(decideResume(following({ suspend: true }))).toMatchObject({ kind: 'patch', spec: { suspend: false } });
  });

  test('change nothing the second time', () => {
    expect(decideSuspend(following({ suspend: true })).kind).toBe('leave');
    expect(decideResume(following()).kind).toBe('leave');
  });
});

describe('retry, verify and repair', () => {
  test('set a new spec.retry', () => {
    expect(decideRequest(following(), 'verify', 'verify-1', false)).toMatchObject({ spec: { retry: 'verify-1' } });
  });

  test('do not replace a request that the operator has not taken yet, which would be lost', () => {
    const waiting = following({ retry: 'drop-1' }, { observedRetry: 'retry-0' });
    expect(decideRequest(waiting, 'retry', 'retry-1', false)).toMatchObject({ kind: 'refuse' });
    expect(decideRequest(waiting, 'retry', 'retry-1', true)).toMatchObject({ kind: 'patch' });
  });

  test('replace a request that the operator has taken', () => {
    const taken = following({ retry: 'drop-1' });
    taken.status.observedRetry = 'drop-1';
    expect(decideRequest(taken, 'retry', 'retry-1', false)).toMatchObject({ kind: 'patch' });
  });

  test('are refused as comparisons before the copy is complete', () => {
    expect(decideRequest(build(), 'verify', 'verify-1', false)).toMatchObject({ kind: 'refuse' });
    expect(decideRequest(build(), 'retry', 'retry-1', false)).toMatchObject({ kind: 'patch' });
  });

  test('ask for confirmation only of a repair, since it may overwrite what apps wrote to Edge', () => {
    expect(codesOf(decideRequest(following(), 'repair', 'repair-1', false))).toEqual(['edge_overwritten']);
    expect(codesOf(decideRequest(following(), 'verify', 'verify-1', false))).toEqual([]);
  });

  test('ask for different confirmations of a repair after the window and one within it', () => {
    const closed = following();
    closed.status.conditions!.push(condition('Replaying', 'False', 'WindowClosed'));
    expect(codesOf(decideRequest(closed, 'repair', 'repair-1', false))).toEqual(['removed_come_back']);
  });
});

describe('extend', () => {
  test('extends the window by a duration', () => {
    const change = decideExtend(following({ replay: { windowSeconds: DAY } }), { by: DAY }, NOON);
    expect(change).toMatchObject({ kind: 'patch', spec: { replay: { windowSeconds: 2 * DAY } } });
    expect(codesOf(change)).toEqual([]);
  });

  test('moves the deadline to a given time, counted from the end of the copy', () => {
    const until = NOON + 7 * DAY * 1000;
    const change = decideExtend(following({ replay: { windowSeconds: DAY } }), { until }, NOON);
    expect(change).toMatchObject({ spec: { replay: { windowSeconds: 7 * DAY + 3600 } } });
  });

  test('never shortens the window', () => {
    const change = decideExtend(following({ replay: { windowSeconds: 7 * DAY } }), { until: NOON + 1000 }, NOON);
    expect(change).toMatchObject({ kind: 'refuse' });
  });

  test('refuses more than a year, which the CRD does not allow', () => {
    expect(decideExtend(following(), { by: 365 * DAY }, NOON)).toMatchObject({ kind: 'refuse' });
  });

  test('asks for confirmation once the window has closed, since later writes were not replayed', () => {
    const closed = following({ replay: { windowSeconds: 60 } });
    expect(decideExtend(closed, { by: DAY }, NOON)).toMatchObject({
      kind: 'patch',
      warnings: [{ code: 'gap', text: expect.stringContaining('gap') }],
    });
    expect(decideExtend(closed, { by: 60 }, NOON)).toMatchObject({ kind: 'refuse' });
  });

  test('only accepts a duration before the copy is complete', () => {
    expect(decideExtend(build(), { by: DAY }, NOON)).toMatchObject({ kind: 'patch' });
    expect(decideExtend(build(), { until: NOON + DAY * 1000 }, NOON)).toMatchObject({ kind: 'refuse' });
  });
});

describe('finish', () => {
  test('closes the window in a minute, so that earlier writes reach Edge, after confirmation', () => {
    expect(decideFinish(following(), NOON)).toMatchObject({
      kind: 'patch',
      spec: { replay: { windowSeconds: 3600 + 60 } },
      warnings: [
        {
          code: 'core_not_followed',
          text: 'writes that reach Core after 2026-05-04T12:01:00Z will not reach Edge any more',
        },
      ],
    });
  });

  test('asks for an additional confirmation while apps still write through Core', () => {
    const writing = following({}, { replay: { stillOnCore: { state: 'Writing', message: '', writesPerDay: 1930 } } });
    const change = decideFinish(writing, NOON);
    expect(codesOf(change)).toEqual(['core_not_followed', 'core_still_written']);
    expect(JSON.stringify(change)).toContain('about 1,930 requests a day');
    const known = { identities: 1, identitiesSince: '2026-04-29' };
    const one = following(
      {},
      { replay: { stillOnCore: { state: 'Writing', message: '', writesPerDay: 1, ...known } } },
    );
    expect(JSON.stringify(decideFinish(one, NOON))).toContain(
      'about 1 request a day, at least about 1 identity since 2026-04-29: ',
    );
  });

  test('is refused while data would be left behind: by an incomplete copy, or in kept events', () => {
    expect(decideFinish(build(), NOON)).toMatchObject({ kind: 'refuse' });
    expect(decideFinish(plan(), NOON)).toMatchObject({ kind: 'refuse' });
    expect(decideFinish(following({ suspend: true }), NOON)).toMatchObject({ kind: 'refuse' });
  });

  test('changes nothing the second time', () => {
    expect(decideFinish(following({ replay: { windowSeconds: 3660 } }), NOON).kind).toBe('leave');
    expect(decideFinish(following({ replay: { windowSeconds: 3660 } }), NOON + DAY * 1000).kind).toBe('leave');
  });

  test('never closes a window in the past, and never extends it', () => {
    const seconds = fc.integer({ min: 0, max: 400 * DAY });
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 31_536_000 }), (elapsed, windowSeconds) => {
        const now = Date.parse(HOUR_AGO) + elapsed * 1000;
        const change = decideFinish(following({ replay: { windowSeconds } }), now);
        if (change.kind !== 'patch') return change.kind === 'leave' && windowSeconds <= elapsed + 60;
        const wanted = (change.spec['replay'] as { windowSeconds: number }).windowSeconds;
        return wanted > elapsed && wanted < windowSeconds;
      }),
      { numRuns: 300 },
    );
  });
});
