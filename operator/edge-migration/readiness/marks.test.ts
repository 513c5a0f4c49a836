import { describe, expect, test } from 'vitest';
import { type Decision, decide } from '../decide.ts';
import type { Facts } from '../facts.ts';
import {
  condition,
  copiedWork,
  covered,
  edgeReady,
  following,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from '../testing/facts.ts';
import type { MarksFact } from './facts.ts';
import { areMarksSought } from './marks.ts';

const MINUTE = 60_000;
const seen = (started: boolean, completed: boolean): MarksFact => ({ kind: 'observed', started, completed });
const none = seen(false, false);
const both = seen(true, true);

/** A copy whose pods have just ended, in a project that Core would forward. */
function ended(changes: Partial<Facts> = {}): Facts {
  const capture = { capture: covered(), replay: following() };
  const ready = { readiness: edgeReady({ nextTime: NOON + 90 * MINUTE }), marks: none, ...capture, ...changes };
  const copying = visitedFacts({ ...ready, work: work({ ranges: twoRanges, jobs: [job()] }) });
  return { ...copying, now: NOON + MINUTE, work: copiedWork() };
}
const marks = ({ actions }: Decision) => actions.map(({ kind }) => kind).filter((kind) => kind.startsWith('mark'));
const say = ({ status }: Decision) => ({
  ready: condition(status, 'EdgeReady'),
  degraded: condition(status, 'Degraded'),
  message: status.conditions?.find(({ type }) => type === 'EdgeReady')?.message ?? '',
});

describe('while a pod of the Core API would forward what the marks let it forward', () => {
  test('the project is not marked, and EdgeReady gives the reason and the remedy', () => {
    const decision = decide(ended({ forwardingPod: 'api-1' }));
    expect(marks(decision)).toEqual([]);
    expect(say(decision)).toMatchObject({
      ready: 'False/CoreWouldForward',
      degraded: 'False/AsExpected',
      message: expect.stringMatching(/pod api-1 .* EDGE_API_URL.*Remove EDGE_API_URL/),
    });
    expect(decision.nextTime).toBeLessThanOrEqual(NOON + 2 * MINUTE);
  });

  test('the project is marked as soon as that pod is gone', () => {
    const held = next(ended({ forwardingPod: 'api-1' }), MINUTE);
    const free = { ...held, forwardingPod: undefined };
    expect(marks(decide(held))).toEqual([]);
    expect(marks(decide(free))).toEqual(['markCompleted']);
    expect(say(decide(free)).ready).toBe('True/Complete');
  });

  test('the project is marked only once that pod is gone, even without tables that show readiness', () => {
    const bare = { readiness: undefined };
    const held = ended({ ...bare, forwardingPod: 'api-1' });
    expect(marks(decide(held))).toEqual([]);
    expect(say(decide(held)).ready).toBe('False/CoreWouldForward');
    const later = next(held, 60 * MINUTE);
    const free = decide({ ...later, forwardingPod: undefined });
    expect(marks(free)).toEqual(['markCompleted']);
    expect(say(free).ready).toBe('absent');
  });

  test('a plan does not report the forwarding pod', () => {
    const plan = { migration: migration({}, { mode: 'Plan' }), forwardingPod: 'api-1' };
    expect(say(decide(visitedFacts({ readiness: edgeReady(), marks: none, ...plan }))).ready).toBe('True/Complete');
  });

  test('the project is not marked before the pods have been listed, nor while the marks cannot be read', () => {
    const unlisted = decide(ended({ corePodsUnknown: true }));
    expect(marks(unlisted)).toEqual([]);
    expect(unlisted.nextTime).toBe(NOON + MINUTE + 1_000);
    const problem: MarksFact = { kind: 'problem', reason: 'EdgeUnreachable', message: 'no answer' };
    const unread = decide(ended({ marks: problem, forwardingPod: 'api-1' }));
    expect(marks(unread)).toEqual([]);
    expect(say(unread).ready).toBe('Unknown/EdgeUnreachable');
  });

  test('a project that is already marked stays ready, but is degraded', () => {
    const decision = decide(next(ended({ marks: both, forwardingPod: 'api-1' }), MINUTE));
    expect(say(decision)).toMatchObject({ ready: 'True/Complete', degraded: 'True/CoreForwards' });
  });

  test('nothing is degraded if no serving table is configured, nor if nothing is forwarded yet', () => {
    const bare = next(ended({ readiness: undefined, marks: both, forwardingPod: 'api-1' }), MINUTE);
    expect(say(decide(bare)).degraded).toBe('False/AsExpected');
    const unmarked = next(ended({ marks: seen(true, false), forwardingPod: 'api-1' }), MINUTE);
    expect(say(decide(unmarked)).degraded).toBe('False/AsExpected');
  });
});

describe('marks that a late put by Flagsmith reverts', () => {
  test('are written again within ten minutes of the end of the copy, and not later', () => {
    const copied = next(ended(), MINUTE, { marks: both });
    expect(marks(decide(copied))).toEqual([]);
    const taken = (minutes: number) => decide(next(copied, minutes * MINUTE, { marks: none }));
    expect(marks(taken(8))).toEqual(['markCompleted']);
    expect(marks(taken(10))).toEqual([]);
  });

  test('are checked every half minute until then', () => {
    const unfollowed = { capture: { kind: 'disabled' }, replay: { kind: 'disabled' } } as const;
    const copied = next(ended(unfollowed), MINUTE, { marks: both });
    expect(decide(copied).nextTime).toBe(copied.now + 30_000);
  });

  test('are written again while the copy runs', () => {
    const copying = visitedFacts({ marks: none, work: work({ ranges: twoRanges }) });
    const begun = next(copying, 1_000, { work: work({ ranges: twoRanges, jobs: [job()] }) });
    const running = next(begun, MINUTE, { marks: seen(true, false) });
    expect(marks(decide(running))).toEqual([]);
    expect(marks(decide({ ...running, marks: none }))).toEqual(['markStarted']);
  });

  test('are written again long after the end of the copy if Edge has just become ready', () => {
    const lacking = next(ended({ readiness: edgeReady({ enabled: false }) }), 60 * MINUTE);
    const ready = next({ ...lacking, readiness: edgeReady() }, MINUTE);
    expect(marks(decide({ ...ready, marks: both }))).toEqual([]);
    expect(marks(decide({ ...ready, marks: none }))).toEqual(['markCompleted']);
  });
});

test.for<[string, Partial<Facts>, number, boolean]>([
  ['just after the copy', {}, 1, true],
  ['long after the copy', {}, 11, false],
  ['long after the copy, while a pod would forward', { forwardingPod: 'api-1' }, 11, true],
])('the marks are checked only while the result matters: %s', ([, changes, minutes, expected]) => {
  const { migration: found, now, forwardingPod } = next(ended(changes), minutes * MINUTE, changes);
  expect(areMarksSought({ migration: found, now, forwardingPod })).toBe(expected);
});
