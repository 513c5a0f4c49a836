import { describe, expect, test } from 'vitest';
import { createAppliedTracker } from './applied.ts';

const known = { sentUntil: 1000, time: 2000, oldestTime: undefined, positionTime: 1500 };

describe('what was sent before some time', () => {
  test('is applied once the stream was looked at after it, and found empty', () => {
    const applied = createAppliedTracker();
    applied.notice(known);
    expect(applied.until()).toBeUndefined();
    applied.notice({ ...known, sentUntil: 3000, time: 4000, positionTime: 2500 });
    expect(applied.until()).toBe(1000);
  });

  test('is applied although newer events never stop coming', () => {
    const applied = createAppliedTracker();
    applied.notice(known);
    applied.notice({ sentUntil: 3000, time: 4000, oldestTime: 2200, positionTime: 3900 });
    expect(applied.until()).toBe(1000);
  });

  test('is not applied while an event from then is in the stream, whatever came after it', () => {
    const applied = createAppliedTracker();
    applied.notice(known);
    applied.notice({ sentUntil: 3000, time: 4000, oldestTime: 1900, positionTime: 3900 });
    applied.notice({ sentUntil: 5000, time: 6000, oldestTime: 1900, positionTime: 5900 });
    expect(applied.until()).toBeUndefined();
    applied.notice({ sentUntil: 7000, time: 8000, oldestTime: undefined, positionTime: 7900 });
    expect(applied.until()).toBe(5000);
  });

  test('is never taken back, and not known while a sidecar cannot tell', () => {
    const applied = createAppliedTracker();
    applied.notice({ ...known, positionTime: 2500 });
    expect(applied.until()).toBe(1000);
    applied.notice({ sentUntil: undefined, time: 9000, oldestTime: undefined, positionTime: 9500 });
    expect(applied.until()).toBe(1000);
  });
});
