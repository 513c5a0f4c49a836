import { describe, expect, test } from 'vitest';
import { type Decision, decide } from '../decide.ts';
import type { Facts } from '../facts.ts';
import {
  condition,
  copiedWork,
  edgeReady,
  facts,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from '../testing/facts.ts';
import type { HandoverFact, HandoverState } from './facts.ts';
import { chooseStage } from './handover.ts';

const incomplete = edgeReady({ enabled: false });
const handover = (changes: Partial<HandoverFact> = {}): HandoverFact => ({
  mode: 'Run',
  when: 'BeforeCopy',
  stage: 'before',
  state: { kind: 'absent' },
  ...changes,
});
const ended = (outcome: 'done' | 'refused' | 'failed', words = 'its words', time = NOON): HandoverState => ({
  kind: 'ended',
  time,
  job: 'project-42-handover',
  attempt: 1,
  isOutdated: false,
  outcome,
  words,
});
const running: HandoverState = { kind: 'running', isOverdue: false, trouble: undefined };

/** An accepted migration for which nothing is planned yet. */
const accepted = (changes: Partial<Facts> = {}) =>
  visitedFacts({ readiness: incomplete, handover: handover(), ...changes });
const starts = ({ actions }: Decision) => actions.filter(({ kind }) => kind === 'startHandover');
const kinds = ({ actions }: Decision) => actions.map(({ kind }) => kind);
const say = ({ status }: Decision) => status.conditions?.find(({ type }) => type === 'EdgeReady')?.message;

describe('before the copy', () => {
  test('the hand-over starts once the migration is accepted, and nothing is planned meanwhile', () => {
    const decision = decide(accepted());
    expect(kinds(decision)).toEqual(['startHandover']);
    expect(condition(decision.status, 'Copied')).toBe('False/WaitingForHandover');
  });

  test('nothing is planned before the migration is reported as accepted, nor after it no longer is', () => {
    const unseen = facts({ readiness: incomplete, handover: handover() });
    expect(condition(decide(unseen).status, 'Copied')).toBe('False/WaitingForHandover');
    expect(starts(decide(accepted({ olderDuplicate: 'other/project-42' })))).toEqual([]);
  });

  test('the copy waits while the hand-over runs, and the status says why its pod does not start', () => {
    const state: HandoverState = { kind: 'running', isOverdue: false, trouble: 'ErrImagePull' };
    const decision = decide(accepted({ handover: handover({ state }) }));
    expect(kinds(decision)).toEqual([]);
    expect(condition(decision.status, 'EdgeReady')).toBe('False/HandoverRunning');
    expect(say(decision)).toContain('ErrImagePull');
    expect(decision.nextTime).toBe(NOON + 1_000);
  });

  test('the copy waits while the hand-overs of other projects precede its own', () => {
    const decision = decide(
      accepted({ handover: handover({ state: { kind: 'queued', isOverdue: false, againMs: 10_000 } }) }),
    );
    expect(kinds(decision)).toEqual([]);
    expect(condition(decision.status, 'Copied')).toBe('False/WaitingForHandover');
    expect(say(decision)).toContain('those of other projects');
  });

  test.for<HandoverState>([
    { ...running, isOverdue: true },
    { kind: 'queued', isOverdue: true, againMs: 10_000 },
  ])('the copy waits no longer than a hand-over may take: %o', (state) => {
    expect(kinds(decide(accepted({ handover: handover({ state }) })))).toContain('planRanges');
  });

  test.for(['done', 'refused', 'failed'] as const)('the copy follows a hand-over that has ended as %s', (outcome) => {
    const decision = decide(accepted({ handover: handover({ state: ended(outcome) }) }));
    expect(kinds(decision)).toContain('planRanges');
  });

  test('nothing is handed over that Edge already has', () => {
    expect(kinds(decide(accepted({ readiness: edgeReady() })))).toEqual(['planRanges']);
  });

  test('the copy does not wait for a hand-over while it is unknown whether one is needed', () => {
    const problem = { kind: 'problem', reason: 'EdgeUnreachable', message: 'no answer', nextTime: NOON } as const;
    expect(kinds(decide(accepted({ readiness: problem })))).toEqual(['planRanges']);
  });

  test('the switch is not set while Core would then forward requests to Edge, and the copy does not wait', () => {
    const decision = decide(accepted({ forwardingPod: 'api-1' }));
    expect(starts(decision)).toEqual([]);
    expect(kinds(decision)).toContain('planRanges');
    expect(say(decision)).toMatch(/pod api-1 of the Core API has EDGE_API_URL/);
  });

  test('a release is still asked what it could do, and a switch that is already set does not matter', () => {
    const asking = handover({ mode: 'Verify', stage: 'verify' });
    expect(starts(decide(accepted({ forwardingPod: 'api-1', handover: asking })))).toHaveLength(1);
    const lacking = edgeReady({ keepsMeta: false });
    expect(starts(decide(accepted({ forwardingPod: 'api-1', readiness: lacking })))).toHaveLength(1);
  });

  test('no hand-over starts while the migration is suspended', () => {
    const suspended = migration({}, { suspend: true });
    expect(starts(decide(accepted({ migration: suspended })))).toEqual([]);
  });

  test('a copy that has begun goes on', () => {
    const decision = decide(accepted({ work: work({ ranges: twoRanges, jobs: [job()] }) }));
    expect(condition(decision.status, 'Copied')).toBe('False/Copying');
    expect(starts(decision)).toHaveLength(1);
  });
});

describe('a hand-over that failed', () => {
  const failed = (time = NOON) => accepted({ handover: handover({ state: ended('failed', 'AccessDenied', time) }) });

  const again = (
    attempt: number,
    minutes: number,
    changes: Partial<Extract<HandoverState, { kind: 'ended' }>> = {},
  ) => {
    const state = { ...ended('refused', 'no table', NOON - minutes * 60_000), attempt, ...changes } as HandoverState;
    return decide(accepted({ handover: handover({ state }) }));
  };

  test.for([
    [1, 10],
    [2, 20],
    [3, 40],
    [4, 60],
    [40, 60],
  ])('is retried for the %i. time after %i minutes', ([attempt = 0, minutes = 0]) => {
    expect(starts(again(attempt, minutes - 1))).toEqual([]);
    expect(starts(again(attempt, minutes))).toHaveLength(1);
  });

  test("is retried at once when the Core API's pods or the spec have changed", () => {
    expect(starts(again(9, 1, { isOutdated: true }))).toHaveLength(1);
  });

  test('has the time of its next try in the status', () => {
    expect(say(again(2, 5))).toContain('it is retried at 2026-05-04T12:15:00Z');
    const suspended = decide({ ...failed(), migration: migration({}, { suspend: true }) });
    expect(say(suspended)).not.toContain('retried');
  });

  test('is reported by EdgeReady with the last words of its pod', () => {
    const decision = decide(failed());
    expect(condition(decision.status, 'EdgeReady')).toBe('False/HandoverFailed');
    expect(say(decision)).toMatch(
      /enable_dynamo_db .* is not set.*; the hand-over failed: AccessDenied; it is retried at /,
    );
    expect(condition(decision.status, 'Degraded')).toBe('False/AsExpected');
  });

  test('is retried after ten minutes, and not before', () => {
    expect(starts(decide(failed(NOON - 599_000)))).toEqual([]);
    expect(starts(decide(failed(NOON - 600_000)))).toHaveLength(1);
  });

  test.for<[string, (before: Facts) => Facts]>([
    [
      'the migration is suspended',
      (before) => ({ ...before, migration: { ...before.migration, spec: migration({}, { suspend: true }).spec } }),
    ],
    ['Edge has what it lacked', (before) => ({ ...before, readiness: edgeReady() })],
  ])('is checked no more often than others when its time has come while %s', ([, change]) => {
    const decision = decide(change(failed(NOON - 700_000)));
    expect(starts(decision)).toEqual([]);
    expect(decision.nextTime).toBe(NOON + 60_000);
  });

  test('is retried at once when spec.retry asks for it', () => {
    const before = failed();
    const spec = migration({}, { retry: 'again' }).spec;
    expect(starts(decide({ ...before, migration: { ...before.migration, spec } }))).toHaveLength(1);
  });
});

test('a successful hand-over after which Edge still lacks something is repeated when spec.retry asks for it', () => {
  const before = accepted({ handover: handover({ state: ended('done') }) });
  const { spec } = migration({}, { retry: 'again' });
  const asked = { ...before, migration: { ...before.migration, spec } };
  expect(starts(decide(before))).toEqual([]);
  expect(starts(decide(asked))).toHaveLength(1);
  expect(starts(decide({ ...asked, readiness: edgeReady() }))).toEqual([]);
});

describe('after the copy', () => {
  const copied = (changes: Partial<Facts> = {}) => {
    const copying = visitedFacts({ readiness: edgeReady(), work: work({ ranges: twoRanges, jobs: [job()] }) });
    return { ...next({ ...copying, now: NOON + 60_000, work: copiedWork() }, 1_000), ...changes };
  };

  test('a hand-over makes Flagsmith take the overrides as complete, even if Edge was ready before', () => {
    const after = handover({ stage: 'after' });
    const partly = edgeReady({ overridesCounted: false });
    expect(starts(decide(copied({ handover: after, readiness: partly })))).toHaveLength(1);
    expect(starts(decide(copied({ handover: after, readiness: edgeReady() })))).toEqual([]);
  });

  test('a running hand-over does not revoke the completion of the copy', () => {
    const decision = decide(copied({ handover: handover({ stage: 'after', state: running }), readiness: incomplete }));
    expect(condition(decision.status, 'Copied')).toBe('True/Complete');
  });
});

test('a plan only asks what could be done, as does mode Verify', () => {
  const run = { mode: 'Run', when: 'BeforeCopy' } as const;
  const { settings } = facts();
  expect(chooseStage(migration({}, { mode: 'Plan' }), run, settings)).toBe('verify');
  expect(chooseStage(migration(), { ...run, mode: 'Verify' }, settings)).toBe('verify');
  expect(chooseStage(migration(), run, settings)).toBe('before');
  expect(chooseStage(migration(), { ...run, when: 'AfterCopy' }, settings)).toBeUndefined();
});

test('the status shows what a release could hand over next to what is missing', () => {
  const verified: HandoverState = {
    kind: 'ended',
    time: NOON,
    job: 'j',
    attempt: 1,
    isOutdated: false,
    outcome: 'verified',
    words: 'this release can',
  };
  const decision = decide(accepted({ handover: handover({ mode: 'Verify', stage: 'verify', state: verified }) }));
  expect(condition(decision.status, 'EdgeReady')).toBe('False/DynamoDBNotEnabled');
  expect(say(decision)).toMatch(/; the hand-over by Flagsmith ended: this release can$/);
});
