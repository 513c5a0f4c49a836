import type { Status } from '@edge-migration/contract/edge-migration/api.ts';
import { isDropped, isGivenUp } from '@edge-migration/replay-sidecar/applier/settle/given-up.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts, ProjectReplay, WaitingEvents } from './facts.ts';
import { condition, copiedWork, covered, facts, following, migration, NOON, next } from './testing/facts.ts';

const MINUTE = 60_000;
const at = (time: number) => new Date(time).toISOString().replace('.000', '');
/** Events that arrived so many minutes after noon. */
const came = (minutes: number, changes: Partial<WaitingEvents> = {}): WaitingEvents => ({
  from: NOON + minutes * MINUTE,
  isUnreadable: false,
  events: 1,
  ...changes,
});

/** Copied one minute after noon; the window closes ten minutes after that. */
const copied = next(
  facts({
    now: NOON + MINUTE,
    migration: migration({}, { replay: { windowSeconds: 600 } }),
    work: copiedWork(),
    capture: covered({ allSentUntil: NOON + 1e9 }),
    replay: following({ takenUntil: NOON + 1e9 }),
  }),
  0,
);

function waiting(project: Partial<ProjectReplay>, minutes = 5, retry?: string): Facts {
  const replay = following({ takenUntil: NOON + 1e9, project: { ...NONE, ...project } });
  const spec = { ...copied.migration.spec!, ...(retry && { retry }) };
  return { ...copied, now: NOON + minutes * MINUTE, replay, migration: { ...copied.migration, spec } };
}
const NONE = { ...(following() as { project: ProjectReplay }).project };

describe('events of an unknown project', () => {
  test('degrade a migration that they may belong to, with the remedy in the message', () => {
    const { status } = decide(waiting({ unresolved: [came(2), came(3, { events: 4 })] }));
    expect(condition(status, 'Degraded')).toBe('True/EventsUnresolved');
    const { message = '' } = status.conditions?.find(({ type }) => type === 'Degraded') ?? {};
    expect(message).toMatch(/^5 events .* oldest from 2026-05-04T12:02:00Z: .*spec\.retry.* drop-/);
  });

  test.each([
    ['before the copy began', came(-10)],
    ['after the deadline', came(12)],
  ])('do not concern a migration if their requests began %s', (_, events) => {
    for (const minutes of [5, 15]) {
      const { status } = decide(waiting({ unresolved: [events] }, minutes));
      expect(condition(status, 'Degraded')).toBe('False/AsExpected');
      expect(condition(status, 'Succeeded')).toBe(minutes < 11 ? 'Unknown/Replaying' : 'True/WindowClosed');
    }
  });

  test.each([
    ['began in the window', came(10)],
    ['were parked by an older release', came(0, { from: undefined })],
    ['cannot be read, and came after the deadline', came(12, { isUnreadable: true })],
  ])('keep a migration from succeeding if they %s', (_, events) => {
    const { status } = decide(waiting({ unresolved: [events] }, 15));
    expect(condition(status, 'Succeeded')).toBe('Unknown/Draining');
    expect(condition(status, 'Degraded')).toBe('True/EventsUnresolved');
    expect(condition(decide(waiting({}, 15)).status, 'Succeeded')).toBe('True/WindowClosed');
  });
});

describe('spec.retry drop-…', () => {
  const unresolved = [came(2), came(4)];
  const dropping = waiting({ unresolved, failed: [came(3)], parked: 1 }, 5, 'drop-1');

  test('turns the parked events into one gap, and ends the wait for events of an unknown project', () => {
    const { status } = decide(dropping);
    const gap = { from: at(NOON + 2 * MINUTE), until: at(NOON + 5 * MINUTE), reason: 'eventsDropped' };
    expect(status.gaps).toEqual([gap]);
    expect(status.observedRetry).toBe('drop-1');
    const later = next(dropping, MINUTE, { replay: waiting({ unresolved: [...unresolved, came(7)] }).replay });
    const second = decide(later).status;
    expect(second.gaps).toEqual([gap]);
    expect(condition(second, 'Degraded')).toBe('True/EventsUnresolved');
    const closed = decide(next(dropping, 10 * MINUTE, { replay: waiting({ unresolved }).replay })).status;
    expect(condition(closed, 'Succeeded')).toBe('True/WindowClosed');
  });

  test('is taken only once the parked events are known', () => {
    const blind = { kind: 'unknown', reason: 'StreamUnreachable', message: 'no answer' } as const;
    const { status } = decide({ ...dropping, replay: blind });
    expect(status.observedRetry).toBeUndefined();
    const seen = decide(next({ ...dropping, replay: blind }, MINUTE, { replay: dropping.replay })).status;
    expect(seen.observedRetry).toBe('drop-1');
    expect(seen.gaps?.[0]).toMatchObject({ reason: 'eventsDropped' });
  });

  test('makes a gap since the copy began for unreadable events', () => {
    const { status } = decide(waiting({ unresolved: [came(3, { isUnreadable: true })] }, 5, 'drop'));
    expect(status.gaps?.[0]).toMatchObject({ from: status.copy?.startTime, until: at(NOON + 4 * MINUTE) });
  });

  test('makes no gap if nothing waits, nor does another token', () => {
    expect(decide(waiting({}, 5, 'drop-1')).status.gaps).toBeUndefined();
    for (const token of ['dropped', 'again', 'repair-1'])
      expect(decide(waiting({ unresolved }, 5, token)).status.gaps).toBeUndefined();
  });

  test('lets appliers drop only events that a gap in the status covers', () => {
    const dropped = (status: Status, minute: number, isUnreadable = false) =>
      isDropped({ minute: NOON / MINUTE + minute, isUnreadable }, { ...dropping.migration, status });
    const { status } = decide(dropping);
    expect([1, 2, 3, 4, 5].map((minute) => dropped(status, minute))).toEqual([false, true, true, true, false]);
    expect(dropped(status, 3, true)).toBe(false);
    // The gap is not in the API server yet, or is of other events.
    expect(dropped(dropping.migration.status, 3)).toBe(false);
    expect(dropped({ ...status, observedRetry: 'again' }, 3)).toBe(false);
    expect(isDropped({}, { ...dropping.migration, status })).toBe(false);
  });
});

test('an event of an unknown project is dropped once all migrations have given it up, or closed before it', () => {
  const { status } = decide(waiting({ unresolved: [came(3)] }, 5, 'drop-1'));
  const dropping = { ...migration({ status }, { retry: 'drop-1' }) };
  const following = copied.migration;
  const minute = NOON / MINUTE + 3;
  expect(isGivenUp({ minute }, [])).toBe(true);
  expect(isGivenUp({ minute }, [dropping])).toBe(true);
  expect(isGivenUp({ minute }, [dropping, following])).toBe(false);
  expect(isGivenUp({ minute: minute + 20 }, [following])).toBe(true);
  expect(isGivenUp({ minute: minute + 20, isUnreadable: true }, [following])).toBe(false);
});

test('an event of an unknown project does not wait for migrations whose copies began long after it', () => {
  const later = copied.migration;
  const minute = NOON / MINUTE;
  expect(isGivenUp({ minute: minute - 61 }, [later])).toBe(true);
  expect(isGivenUp({ minute: minute - 61, isUnreadable: true }, [later])).toBe(true);
  // Core may still have been working on it when the first page was read.
  expect(isGivenUp({ minute: minute - 58 }, [later])).toBe(false);
  const waiting = { ...later, status: { ...later.status, copy: {} } };
  expect(isGivenUp({ minute: minute - 61 }, [later, waiting])).toBe(false);
});

test('events that began at the very deadline can be given up, too', () => {
  const events = { unresolved: [came(11)] };
  const dropping = waiting(events, 15, 'drop-1');
  expect(condition(decide(dropping).status, 'Succeeded')).toBe('Unknown/Draining');
  const after = decide(next(dropping, MINUTE)).status;
  expect(after.gaps?.[0]).toMatchObject({ from: at(NOON + 11 * MINUTE - 1000), until: at(NOON + 12 * MINUTE) });
  expect(condition(after, 'Succeeded')).toBe('True/WindowClosed');
});

test('a minute whose events found no room for parking is a gap within the window', () => {
  const { status } = decide(waiting({ excess: [NOON - 5 * MINUTE, NOON + 3 * MINUTE, NOON + 12 * MINUTE] }));
  const gap = { from: at(NOON + 3 * MINUTE), until: at(NOON + 4 * MINUTE), reason: 'parkingFull' };
  expect(status.gaps).toEqual([gap]);
  expect(condition(status, 'Degraded')).toBe('True/CoverageGap');
});
