import type { LeaseBefore } from '@edge-migration/kubernetes/lease.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { describe, expect, test } from 'vitest';
import { createWatchHistory, type Interval } from './watch-history.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const ANNOTATION = 'edge.flagsmith.com/not-watched';

/** One operator process, and the time by its clock. */
function operator(at = 0, neededSince: () => number | undefined = () => undefined) {
  const clock = createFakeClock();
  const start = clock.now();
  const history = createWatchHistory({ ...clock, now: () => clock.now() + at }, neededSince);
  const before = (changes: Partial<LeaseBefore> = {}): LeaseBefore => ({
    annotations: {},
    renewedTime: start,
    seenRenewedAfter: Number.NEGATIVE_INFINITY,
    isRenewal: false,
    ...changes,
  });
  return { clock, start, history, before };
}

const seconds = (intervals: readonly Interval[], start: number) =>
  intervals.map(({ from, until }) => [(from - start) / SECOND, (until - start) / SECOND]);

describe('the time without a watching operator', () => {
  test('lasts from the last renewal of the Lease until another operator has listed the pods', () => {
    const { history, before, start } = operator(HOUR);
    history.begin();
    const annotations = history.annotate(before());
    expect(seconds(history.unwatched(), start)).toEqual([[0, 3_600]]);
    expect(annotations[ANNOTATION]).toBe('2026-01-01T00:00:00.000Z/2026-01-01T01:00:00.000Z');
  });

  test('is empty when a standby watched while another operator still renewed the Lease', () => {
    const { history, before, clock } = operator(HOUR);
    history.begin();
    expect(history.annotate(before({ seenRenewedAfter: clock.monotonic() }))).toEqual({});
    expect(history.unwatched()).toEqual([]);
  });

  test('is not empty when a standby saw only a Lease that was renewed before it watched', async () => {
    const { history, before, clock, start } = operator(HOUR);
    const seenRenewedAfter = clock.monotonic();
    await clock.advance(10 * SECOND);
    history.begin();
    history.annotate(before({ seenRenewedAfter }));
    expect(seconds(history.unwatched(), start)).toEqual([[0, 3_610]]);
  });

  test('lasts while the new leader cannot list the pods, and grows with each renewal', async () => {
    const { history, before, clock, start } = operator(HOUR);
    history.annotate(before());
    await clock.advance(60 * SECOND);
    const { [ANNOTATION]: text } = history.annotate(before({ isRenewal: true }));
    expect(text).toContain('/2026-01-01T01:01:00.000Z');
    history.begin();
    await clock.advance(60 * SECOND);
    expect(seconds(history.unwatched(), start)).toEqual([[0, 3_660]]);
  });

  test('is empty when it is too short for a pod to come, serve and go', () => {
    const { history, before } = operator(29 * SECOND);
    history.begin();
    expect(history.annotate(before())).toEqual({});
  });

  test('has no known beginning if the Lease is gone', () => {
    const { history, before } = operator();
    history.begin();
    history.annotate(before({ renewedTime: undefined }));
    expect(history.unwatched()).toMatchObject([{ from: 0 }]);
  });

  test('is passed on by a leader that died before it could report it anywhere else', () => {
    const first = operator(HOUR);
    first.history.begin();
    const annotations = first.history.annotate(first.before());
    const second = operator(HOUR + 10 * SECOND);
    second.history.begin();
    const handedOn = second.history.annotate(second.before({ annotations, renewedTime: second.start + HOUR }));
    expect(handedOn).toEqual(annotations);
    expect(seconds(second.history.unwatched(), second.start)).toEqual([[0, 3_600]]);
  });

  test('is unknown to a standby, which decides nothing', () => {
    const { history } = operator(HOUR);
    history.begin();
    expect(history.unwatched()).toEqual([]);
  });

  test("includes the time between a leader's broken watch and the list that replaced it", async () => {
    const { history, before, clock, start } = operator();
    history.begin();
    history.annotate(before({ seenRenewedAfter: clock.monotonic() }));
    await clock.advance(600 * SECOND);
    history.noteBlind(20 * SECOND);
    expect(history.unwatched()).toEqual([]);
    history.noteBlind(400 * SECOND);
    expect(seconds(history.unwatched(), start)).toEqual([[200, 600]]);
    expect(history.annotate(before({ isRenewal: true }))).toHaveProperty([ANNOTATION]);
  });

  test("is all of the past if the Lease's annotation is damaged", () => {
    const { history, before, clock } = operator();
    history.begin();
    history.annotate(before({ annotations: { [ANNOTATION]: 'none' }, seenRenewedAfter: clock.monotonic() }));
    expect(history.unwatched()).toEqual([{ from: 0, until: clock.now() }]);
  });

  test('is forgotten, by the Lease as well, when no migration reaches back to it', async () => {
    let since = 0;
    const { history, before, clock, start } = operator(0, () => since);
    history.begin();
    history.annotate(before({ seenRenewedAfter: clock.monotonic() }));
    for (let time = 0; time < 2; time++) {
      await clock.advance(HOUR);
      history.noteBlind(60 * SECOND);
    }
    since = start + 2 * HOUR;
    const annotations = history.annotate(before({ isRenewal: true }));
    expect(seconds(history.unwatched(), start)).toEqual([[7_140, 7_200]]);
    expect(annotations[ANNOTATION]?.split(' ')).toHaveLength(1);
    since += 1;
    expect(history.annotate(before({ isRenewal: true }))).toEqual({});
  });

  test('has twenty ranges at most, which together claim no less', async () => {
    const { history, before, clock } = operator();
    history.begin();
    history.annotate(before({ seenRenewedAfter: clock.monotonic() }));
    for (let time = 0; time < 30; time++) {
      await clock.advance(100 * SECOND);
      history.noteBlind(50 * SECOND);
    }
    const intervals = history.unwatched();
    expect(intervals).toHaveLength(20);
    expect(intervals[0]!.until - intervals[0]!.from).toBe(1_050 * SECOND);
  });

  test('does not include weeks of watching when there is no room for more ranges', async () => {
    const { history, before, clock } = operator();
    history.begin();
    history.annotate(before({ seenRenewedAfter: clock.monotonic() }));
    for (let time = 0; time < 20; time++) {
      await clock.advance(170 * HOUR);
      history.noteBlind(50 * SECOND);
    }
    await clock.advance(100 * SECOND);
    history.noteBlind(50 * SECOND);
    const longest = Math.max(...history.unwatched().map(({ from, until }) => until - from));
    expect(longest).toBe(150 * SECOND);
  });
});
