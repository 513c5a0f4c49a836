import { describe, expect, it } from 'vitest';

import { manualClock } from '../spool/testing.ts';
import { createPace } from './pace.ts';

describe('the pace', () => {
  it('is full speed until something fails', () => {
    expect(createPace(manualClock()).allows(512)).toBe(512);
  });

  it('pauses after a failure, then lets one message through as a test', () => {
    const clock = manualClock();
    const pace = createPace(clock);
    pace.failed();
    expect(pace.allows(512)).toBe(0);
    clock.advance(200);
    expect(pace.allows(512)).toBe(1);
    expect(pace.isFailing()).toBe(true);
  });

  it('is back at full speed after a success', () => {
    const pace = createPace(manualClock());
    pace.failed();
    pace.succeeded();
    expect(pace.allows(512)).toBe(512);
  });

  it('pauses longer with each failure, up to ten seconds', () => {
    const clock = manualClock();
    const pace = createPace(clock);
    const pauses = Array.from({ length: 12 }, () => {
      pace.failed();
      let waited = 0;
      for (; pace.allows(1) === 0; waited += 50) clock.advance(50);
      return waited;
    });
    expect(pauses[0]).toBeLessThanOrEqual(200);
    expect(pauses[11]).toBeGreaterThanOrEqual(5000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(10_000);
  });

  it('counts the failures of one burst once', () => {
    const clock = manualClock();
    const pace = createPace(clock);
    for (let i = 0; i < 500; i++) pace.failed();
    clock.advance(200);
    expect(pace.allows(512)).toBe(1);
  });
});
