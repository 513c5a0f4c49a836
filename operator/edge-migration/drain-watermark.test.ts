import { describe, expect, test } from 'vitest';
import { createTakenTracker } from './drain-watermark.ts';

const DAY = 86_400_000;

describe('the events that sidecars had sent by some time', () => {
  test('are taken at once when the stream is empty', () => {
    const taken = createTakenTracker();
    expect(taken.until()).toBeUndefined();
    taken.notice({ sentUntil: 1000, firstSequence: 8, lastSequence: 7 });
    expect(taken.until()).toBe(1000);
  });

  test('are taken although newer events never stop coming', () => {
    const taken = createTakenTracker();
    taken.notice({ sentUntil: 1000, firstSequence: 3, lastSequence: 7 });
    expect(taken.until()).toBeUndefined();
    taken.notice({ sentUntil: 3000, firstSequence: 8, lastSequence: 20 });
    expect(taken.until()).toBe(1000);
    taken.notice({ sentUntil: 5000, firstSequence: 20, lastSequence: 40 });
    expect(taken.until()).toBe(1000);
    taken.notice({ sentUntil: 7000, firstSequence: 21, lastSequence: 60 });
    expect(taken.until()).toBe(3000);
  });

  test('are not taken while one of them is in the stream, whatever came after it', () => {
    const taken = createTakenTracker();
    for (let second = 1; second < 1000; second++)
      taken.notice({ sentUntil: second * 1000, firstSequence: 7, lastSequence: 7 + second });
    expect(taken.until()).toBeUndefined();
  });

  test('are remembered however long they take, and however much arrives meanwhile', () => {
    const taken = createTakenTracker();
    for (let time = 1000; time < DAY; time += 2000)
      taken.notice({ sentUntil: time, firstSequence: 7, lastSequence: 7 + time });
    taken.notice({ sentUntil: DAY, firstSequence: 1100, lastSequence: DAY });
    expect(taken.until()).toBe(1000);
    taken.notice({ sentUntil: DAY + 2000, firstSequence: DAY + 1, lastSequence: DAY + 2 });
    expect(taken.until()).toBeGreaterThan(1_000_000);
    taken.notice({ sentUntil: DAY + 4000, firstSequence: DAY + 3, lastSequence: DAY + 3 });
    taken.notice({ sentUntil: DAY + 6000, firstSequence: DAY + 4, lastSequence: DAY + 4 });
    expect(taken.until()).toBe(DAY + 4000);
  });

  test('stay taken, and are unknown while a sidecar does not report its position', () => {
    const taken = createTakenTracker();
    taken.notice({ sentUntil: 1000, firstSequence: 8, lastSequence: 7 });
    taken.notice({ sentUntil: undefined, firstSequence: 9, lastSequence: 8 });
    expect(taken.until()).toBe(1000);
  });

  test('are not judged by the sequences of another stream', () => {
    const taken = createTakenTracker();
    taken.notice({ sentUntil: 1000, firstSequence: 7, lastSequence: 70 });
    taken.notice({ sentUntil: 2000, firstSequence: 1, lastSequence: 5 });
    taken.notice({ sentUntil: 3000, firstSequence: 80, lastSequence: 90 });
    expect(taken.until()).toBe(2000);
  });

  test('are withdrawn when an unknown sidecar appears that has not sent as much', () => {
    const taken = createTakenTracker();
    taken.notice({ sentUntil: 5000, firstSequence: 8, lastSequence: 7 });
    taken.notice({ sentUntil: 7000, firstSequence: 8, lastSequence: 9 });
    taken.notice({ sentUntil: 2000, firstSequence: 8, lastSequence: 9 });
    expect(taken.until()).toBe(2000);
    taken.notice({ sentUntil: 9000, firstSequence: 10, lastSequence: 12 });
    expect(taken.until()).toBe(2000);
    taken.notice({ sentUntil: 9500, firstSequence: 13, lastSequence: 12 });
    expect(taken.until()).toBe(9500);
  });
});
