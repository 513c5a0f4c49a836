import { expect, test } from 'vitest';
import { createLosses, type StreamObservation, streamRecord } from './losses.ts';

const EVENTS = 'events';
const PARKING = 'parked';

/** The stream at second `now` by the clock of NATS; its sequences are the seconds in which they were stored. */
function stateAt(sequence: number, now = sequence, elapsed = now) {
  const moment = { wall: elapsed * 1000, monotonic: elapsed * 1000 };
  const last = { sequence, time: sequence * 1000 };
  return { created: 'then', last, oldest: undefined, time: now * 1000, asked: moment, answered: moment };
}

/** A reading at second `now`, with the streams this far. */
function observation(
  now: number,
  sequences: Partial<Record<string, number>>,
  more: Partial<StreamObservation> = {},
): StreamObservation {
  return {
    now: now * 1000,
    streams: new Map(Object.entries(sequences).map(([stream, sequence = 0]) => [stream, stateAt(sequence, now)])),
    isParking: (stream) => stream === PARKING,
    settledUntil: (now - 10) * 1000,
    appliers: [],
    removals: undefined,
    ...more,
  };
}

const seconds = (losses: ReturnType<typeof createLosses>) =>
  losses.list().map(({ from, until }) => ({ from: from / 1000, until: until / 1000 }));

test('a growing stream has lost nothing', () => {
  const losses = createLosses();
  for (const now of [100, 102, 104]) losses.notice(observation(now, { [EVENTS]: now, [PARKING]: 7 }));
  expect(losses.list()).toEqual([]);
});

test('a loss begins before the time that was settled a minute earlier, because its proof may be late', () => {
  const losses = createLosses();
  for (const now of [100, 160, 220, 222]) losses.notice(observation(now, { [EVENTS]: now }));
  losses.notice(observation(230, { [EVENTS]: 50 }));
  expect(seconds(losses)).toEqual([{ from: 150, until: 230 }]);
  losses.notice(observation(232, { [EVENTS]: 51 }));
  expect(seconds(losses)).toEqual([{ from: 150, until: 230 }]);
});

test('a loss of parked events begins when the oldest of them arrived', () => {
  const losses = createLosses();
  const oldest = { sequence: 3, time: 20_000 };
  for (const now of [100, 160, 220]) {
    const streams = new Map([[PARKING, { ...stateAt(7, now), oldest }]]);
    losses.notice({ ...observation(now, {}), streams });
  }
  losses.notice(observation(230, { [PARKING]: 2 }));
  expect(seconds(losses)).toEqual([{ from: 20, until: 230 }]);
});

test('a removal of parked events by others is a loss since the oldest arrived, even if it is found later', () => {
  const losses = createLosses();
  const oldest = { sequence: 3, time: 20_000 };
  const removed = (count: number) => ({ removals: { created: 'then', removed: count, told: [], isComplete: true } });
  for (const now of [100, 160, 220])
    losses.notice({
      ...observation(now, {}),
      ...removed(2),
      streams: new Map([[PARKING, { ...stateAt(7, now), oldest }]]),
    });
  const later = createLosses();
  later.restore(streamRecord.parse(JSON.parse(JSON.stringify(losses.record()))));
  for (const now of [281, 290]) later.notice(observation(now, { [PARKING]: 7 }, removed(7)));
  expect(later.list()).toEqual([]);
  later.notice(observation(300, { [PARKING]: 7 }, removed(7)));
  expect(seconds(later)).toEqual([{ from: 20, until: 300 }]);
});

/** As earlier releases wrote it. */
function formerTextOf({
  parkedSince,
  streams,
  ...others
}: ReturnType<ReturnType<typeof createLosses>['record']>): string {
  const former = Object.entries(streams).map(([name, { checked, ...known }]) => [name, { ...known, looked: checked }]);
  return JSON.stringify({ ...others, streams: Object.fromEntries(former), asideSince: parkedSince });
}

test('a record of an earlier release still says since when events are parked, and when the streams were checked', () => {
  const before = createLosses();
  const oldest = { sequence: 3, time: 20_000 };
  for (const now of [100, 160, 220]) {
    const streams = new Map([[PARKING, { ...stateAt(7, now), oldest }]]);
    before.notice({ ...observation(now, {}), streams });
  }
  const after = createLosses();
  after.restore(streamRecord.parse(JSON.parse(formerTextOf(before.record()))));
  expect(after.record()).toEqual(streamRecord.parse(before.record()));
  after.notice(observation(230, { [PARKING]: 2 }));
  expect(seconds(after)).toEqual([{ from: 20, until: 230 }]);
});

test('a record of an earlier release is read as well when nothing was parked', () => {
  const before = createLosses();
  before.notice(observation(100, { [EVENTS]: 98 }));
  const { streams } = streamRecord.parse(JSON.parse(formerTextOf(before.record())));
  expect(streams[EVENTS]?.checked).toMatchObject({ time: 100_000 });
});

test('a stream that no longer exists is a loss', () => {
  const losses = createLosses();
  losses.notice(observation(100, { [PARKING]: 7 }));
  losses.notice(observation(102, {}));
  expect(losses.list()).toHaveLength(1);
});

test('a loss found by an applier counts once, however often it is reported', () => {
  const losses = createLosses();
  const appliers = [{ stream: EVENTS, created: 'then', places: [], losses: [{ from: 90_000, until: 95_000 }] }];
  losses.notice(observation(100, { [EVENTS]: 7 }));
  losses.notice(observation(102, { [EVENTS]: 9 }, { appliers }));
  const first = losses.list();
  losses.notice(observation(104, { [EVENTS]: 9 }, { appliers }));
  expect(first).toHaveLength(1);
  expect(losses.list()).toBe(first);
});

test('a message that an applier received in place of another one proves a loss', () => {
  const losses = createLosses();
  losses.notice(observation(100, { [EVENTS]: 28 }));
  losses.notice(observation(110, { [EVENTS]: 40 }));
  expect(losses.list()).toEqual([]);
  const places = [{ sequence: 9, time: 111_000 }];
  const evidence = { stream: EVENTS, created: 'then', places, losses: [] };
  losses.notice(observation(112, { [EVENTS]: 41 }, { appliers: [{ ...evidence, created: 'another time' }] }));
  expect(losses.list()).toEqual([]);
  losses.notice(observation(114, { [EVENTS]: 41 }, { appliers: [evidence] }));
  expect(losses.list()).toHaveLength(1);
});

test('a message received before a loss proves no second loss when its sequence is assigned again', () => {
  const losses = createLosses();
  const at = (sequence: number, second: number) => ({ sequence, time: second * 1000 });
  const evidence = (...places: ReturnType<typeof at>[]) => ({
    appliers: [{ stream: EVENTS, created: 'then', places, losses: [] }],
  });
  const stream = (now: number, last: ReturnType<typeof at>) => ({
    streams: new Map([[EVENTS, { ...stateAt(last.sequence, now), last }]]),
  });
  const before = [at(98, 98), at(100, 109)];
  losses.notice(observation(110, {}, { ...stream(110, at(100, 109)), ...evidence(...before) }));
  losses.notice(observation(120, {}, { ...stream(120, at(97, 97)), ...evidence(...before) }));
  const first = losses.list();
  expect(seconds(losses)).toEqual([{ from: 0, until: 120 }]);
  for (const now of [130, 132, 134])
    losses.notice(observation(now, {}, { ...stream(now, at(98, 129)), ...evidence(...before, at(98, 129)) }));
  expect(losses.list()).toBe(first);
  losses.notice(
    observation(140, {}, { ...stream(140, at(99, 139)), ...evidence(...before, at(98, 129), at(98, 138)) }),
  );
  expect(losses.list()).not.toBe(first);
});

test('a clock of NATS that was set back while no operator ran is no loss', () => {
  const before = createLosses();
  before.notice(observation(100, { [EVENTS]: 98 }));
  const after = createLosses();
  after.restore(streamRecord.parse(JSON.parse(JSON.stringify(before.record()))));
  const late = { ...stateAt(107, 127, 130), last: { sequence: 107, time: 127_000 } };
  after.notice({ ...observation(127, {}), streams: new Map([[EVENTS, late]]) });
  const places = [{ sequence: 103, time: 129_000 }];
  after.notice(
    observation(132, { [EVENTS]: 110 }, { appliers: [{ stream: EVENTS, created: 'then', places, losses: [] }] }),
  );
  expect(after.list()).toEqual([]);
});

test('the next process knows what the previous one has recorded', () => {
  const before = createLosses();
  before.notice(observation(100, { [EVENTS]: 28 }));
  const after = createLosses();
  after.restore(streamRecord.parse(JSON.parse(JSON.stringify(before.record()))));
  after.notice(observation(130, { [EVENTS]: 8 }));
  expect(after.list()).toHaveLength(1);
  const last = createLosses();
  last.restore(after.record());
  expect(last.list()).toEqual(after.list());
});

test('a forgotten loss stays forgotten although an applier and another replica still report it', () => {
  const losses = createLosses();
  const [old, recent] = [
    { from: 10_000, until: 20_000 },
    { from: 500_000, until: 510_000 },
  ];
  losses.join([old, recent]);
  losses.forget(100_000);
  losses.join([old]);
  losses.notice(observation(600, {}, { appliers: [{ stream: EVENTS, created: 'then', places: [], losses: [old] }] }));
  expect(losses.list()).toEqual([recent]);
});

test('the list of losses stays short and complete, however much is lost', () => {
  const losses = createLosses();
  for (let time = 0; time < 100; time++) losses.join([{ from: time * 1e6, until: time * 1e6 + 10 }]);
  expect(losses.list()).toHaveLength(16);
  expect([losses.list()[0]?.from, losses.list().at(-1)?.until]).toEqual([0, 99e6 + 10]);
});
