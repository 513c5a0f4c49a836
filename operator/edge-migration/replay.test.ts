import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import {
  condition,
  copiedWork,
  covered,
  following,
  job,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from './testing/facts.ts';

const DAY = 86_400_000;
const DEADLINE = NOON + 60_000 + 28 * DAY;

/** Copied a minute after noon, with sidecars and appliers in place. */
function copied(changes: Partial<Facts> = {}): Facts {
  const settling = visitedFacts({ capture: covered(), replay: following(), work: copiedWork() });
  return next({ ...settling, now: NOON + 60_000 }, 1_000, { work: work(), ...changes });
}

describe('before the copy', () => {
  test('nothing is read before every Core API pod has a sidecar with a proven connection to the stream', () => {
    const missing = covered({
      covered: false,
      reason: 'SidecarMissing',
      message: 'Pod api-1 has no sidecar that reports',
    });
    const waiting = decide(visitedFacts({ capture: missing, replay: following() }));
    expect(condition(waiting.status, 'Capturing')).toBe('False/SidecarMissing');
    expect(condition(waiting.status, 'Copied')).toBe('False/WaitingForCapture');
    expect(waiting.status.message).toContain('api-1');
    expect(waiting.actions).toEqual([]);
    expect(decide(visitedFacts({ capture: covered(), replay: following() })).actions).toMatchObject([
      { kind: 'planRanges' },
    ]);
  });

  test('an unreadable stream does not count as one without sidecars', () => {
    const unknown = { kind: 'unknown', reason: 'StreamUnreachable', message: 'NATS cannot be read: refused' } as const;
    const { status } = decide(visitedFacts({ capture: unknown, replay: unknown }));
    expect(condition(status, 'Capturing')).toBe('Unknown/StreamUnreachable');
    expect(condition(status, 'Degraded')).toBe('True/StreamUnreachable');
  });

  test('a sidecar lost while pods copy does not stop them, and the status shows the gap', () => {
    const lost = covered({
      covered: false,
      reason: 'ProofStale',
      gaps: [{ from: NOON, until: undefined, reason: 'sidecarVanished', podName: 'api-1' }],
    });
    const running = work({ ranges: twoRanges, jobs: [job()], checkpoints: [] });
    const { status, actions } = decide(visitedFacts({ capture: lost, replay: following(), work: running }));
    expect(condition(status, 'Copied')).toBe('False/Copying');
    expect(condition(status, 'Degraded')).toBe('True/CoverageGap');
    expect(status.message).toContain('compare Core and Edge');
    expect(actions.every(({ kind }) => kind === 'writeLiveSettings')).toBe(true);
  });
});

describe('within the window', () => {
  const away = { regions: ['us-east-2'], home: 'eu-west-2', since: NOON, reason: 'eu-west-2 is silent', appliers: 1 };

  test('the deadline counts from the end of the copy, and Succeeded is unknown', () => {
    const { status } = decide(copied());
    expect(status.replay?.deadline).toBe(new Date(DEADLINE).toISOString().replace('.000Z', 'Z'));
    expect(condition(status, 'Replaying')).toBe('True/Following');
    expect(condition(status, 'Succeeded')).toBe('Unknown/Replaying');
    expect(status.replay).toMatchObject({ eventsApplied: 10, eventsUnchanged: 4, lagSeconds: 0 });
  });

  test('the deadline moves with spec.replay.windowSeconds', () => {
    const facts = copied();
    const spec = specSchema.parse({ projectId: 42, replay: { windowSeconds: 3_600 } });
    const { status } = decide({ ...facts, migration: { ...facts.migration, spec } });
    expect(status.replay?.deadline).toBe('2026-05-04T13:01:00Z');
  });

  test('the lag is the age of the oldest event in flight', () => {
    const project = {
      applied: 1,
      unchanged: 0,
      dropped: 0,
      parked: 0,
      failed: [],
      unresolved: [],
      excess: [],
      unstorable: [],
      oldestObservedTime: NOON + 20_000,
      lastAppliedTime: NOON,
    };
    const facts = copied({ replay: following({ project }) });
    const { status } = decide({ ...facts, now: facts.now + 19_000 });
    expect(status.replay?.lagSeconds).toBe(60);
  });

  test.each<[string, Partial<Facts>, string, string]>([
    ['no applier is alive', { replay: following({ appliers: 0 }) }, 'False/NoApplier', 'True/NoApplier'],
    [
      'a store is unavailable to the appliers',
      { replay: following({ outage: 'DynamoDB throttles' }) },
      'True/Following',
      'True/StoreUnavailable',
    ],
    [
      'no applier reaches Edge',
      { replay: following({ outage: 'EdgeUnreachable: no answer', edgeUnreachableSince: NOON }) },
      'False/RegionUnreachable',
      'True/RegionUnreachable',
    ],
    [
      'an applier writes in another region',
      {
        replay: following({ away }),
      },
      'True/Following',
      'True/WrittenElsewhere',
    ],
    [
      'the other region that an applier writes in is unavailable',
      { replay: following({ outage: 'EdgeRefused: no right', away }) },
      'True/Following',
      'True/StoreUnavailable',
    ],
    [
      "an applier's clock is wrong",
      { replay: following(), clocks: [{ process: 'applier one', ahead: 300_000 }] },
      'True/Following',
      'True/ClockSkew',
    ],
    [
      'writes may have been missed',
      { capture: covered({ gaps: [{ from: NOON, until: NOON + 90_000, reason: 'spoolFull', podName: 'api-1' }] }) },
      'True/Following',
      'True/CoverageGap',
    ],
  ])('the conditions show that %s', (_, changes, replaying, degraded) => {
    const { status } = decide(copied(changes));
    expect(condition(status, 'Replaying')).toBe(replaying);
    expect(condition(status, 'Degraded')).toBe(degraded);
  });

  test('the message about a hindrance of appliers in another region names the region', () => {
    const { status } = decide(copied({ replay: following({ outage: 'EdgeRefused: no right', away }) }));
    const degraded = status.conditions?.find(({ type }) => type === 'Degraded');
    expect(degraded?.message).toMatch(/EdgeRefused: no right.*us-east-2/);
  });

  test('a gap that ended before the migration began does not count', () => {
    const old = covered({ gaps: [{ from: NOON - 2 * DAY, until: NOON - DAY, reason: 'spoolFull', podName: 'api-1' }] });
    expect(condition(decide(copied({ capture: old })).status, 'Degraded')).toBe('False/AsExpected');
  });

  test('numbers alone change the status every ten seconds at most', () => {
    const facts = copied();
    const more = following({
      project: {
        applied: 99,
        unchanged: 4,
        dropped: 0,
        parked: 0,
        failed: [],
        unresolved: [],
        excess: [],
        unstorable: [],
        oldestObservedTime: undefined,
        lastAppliedTime: NOON,
      },
    });
    const soon = next(facts, 5_000, { replay: more });
    expect(decide(soon).status.replay?.eventsApplied).toBe(10);
    expect(decide({ ...soon, now: soon.now + 10_000 }).status.replay?.eventsApplied).toBe(99);
  });
});

describe('at the deadline', () => {
  const AFTER = DEADLINE + 5_000;
  const unreadable = { kind: 'unknown', reason: 'StreamUnreachable', message: 'refused' } as const;
  const drained = { capture: covered({ allSentUntil: AFTER }), replay: following({ takenUntil: AFTER }) };
  const at = (changes: Partial<Facts>) => decide({ ...copied(changes), now: AFTER + 2_000 }).status;

  test('the migration succeeds once no earlier event can be left anywhere', () => {
    expect(condition(at(drained), 'Succeeded')).toBe('True/WindowClosed');
    expect(condition(at(drained), 'Replaying')).toBe('False/WindowClosed');
  });

  test.each<[string, Partial<Facts>, RegExp]>([
    [
      'a sidecar has events that it has not sent',
      { ...drained, capture: covered({ allSentUntil: DEADLINE - 1 }) },
      /sidecar has not sent/,
    ],
    [
      'a pod runs whose sidecar never reported, which is named',
      { ...drained, capture: covered({ allSentUntil: DEADLINE - 1, laggard: 'pod api-2 has no sidecar' }) },
      /pod api-2 has no sidecar/,
    ],
    ['the stream has older events', { ...drained, replay: following({ takenUntil: DEADLINE }) }, /events from before/],
    [
      'it is unknown how far the stream was processed',
      { ...drained, replay: following({ takenUntil: undefined }) },
      /events from before/,
    ],
    [
      'pages of an event about a whole environment are on their way',
      { ...drained, replay: following({ takenUntil: AFTER, underWay: 500 }) },
      /500 events that follow/,
    ],
    [
      'events move while the operator checks',
      { ...drained, replay: following({ takenUntil: AFTER, underWay: undefined }) },
      /are being parked/,
    ],
    ['the stream cannot be read', { ...drained, replay: unreadable }, /refused/],
    [
      'events of the project are parked',
      {
        ...drained,
        replay: following({
          takenUntil: AFTER,
          project: {
            applied: 0,
            unchanged: 0,
            dropped: 0,
            parked: 3,
            failed: [],
            unresolved: [],
            excess: [],
            unstorable: [],
            oldestObservedTime: undefined,
            lastAppliedTime: undefined,
          },
        }),
      },
      /3 events are parked/,
    ],
  ])('the migration waits while %s', (_, changes, message) => {
    const status = at(changes);
    expect(condition(status, 'Succeeded')).toBe('Unknown/Draining');
    expect(status.conditions?.find(({ type }) => type === 'Replaying')?.message).toMatch(message);
  });

  test('the finished migration rests: no action is due and nothing changes', () => {
    const finished = { ...copied(drained), now: AFTER + 2_000 };
    const rested = next(finished, DAY);
    const { status, actions, nextTime } = decide({ ...rested, replay: { kind: 'unknown', reason: 'x', message: 'y' } });
    expect(condition(decide(rested).status, 'Succeeded')).toBe('True/WindowClosed');
    expect(actions).toEqual([]);
    expect(condition(status, 'Succeeded')).toBe('True/WindowClosed');
    expect(nextTime).toBeUndefined();
  });
});
