import { describe, expect, it } from 'vitest';

import { createMemoryKeeper } from './memory.ts';
import { manualClock } from './spool/testing.ts';

const MIB = 1024 * 1024;

function setUp() {
  const clock = manualClock();
  const state = { heap: 30 * MIB, live: 12 * MIB, busy: 0, collections: 0 };
  const keeper = createMemoryKeeper(clock, {
    collect() {
      state.collections += 1;
      state.heap = state.live;
    },
    bytes: () => state.heap,
    busyShare: () => state.busy,
  });
  keeper.collect();
  return { clock, state, keeper };
}

describe('the heap of the sidecar', () => {
  it('is collected before the first request, and left alone while it stays small', () => {
    const { clock, state, keeper } = setUp();
    state.heap = 30 * MIB;
    clock.advance(3_600_000);
    keeper.tick();
    expect(state).toMatchObject({ collections: 1 });
  });

  it('is given back after a burst, once the process is quiet', () => {
    const { clock, state, keeper } = setUp();
    clock.advance(60_000);
    Object.assign(state, { heap: 120 * MIB, busy: 0.3 });
    keeper.tick();
    expect(state.collections).toBe(1);
    state.busy = 0.01;
    keeper.tick();
    expect(state).toMatchObject({ collections: 2, heap: 12 * MIB });
  });

  it('is collected at most once a minute, however many bursts there are', () => {
    const { clock, state, keeper } = setUp();
    for (let second = 0; second < 300; second++) {
      state.heap = 120 * MIB;
      clock.advance(1000);
      keeper.tick();
    }
    expect(state.collections).toBe(1 + 5);
  });

  it('is not collected repeatedly when it is larger because it is needed', () => {
    const { clock, state, keeper } = setUp();
    Object.assign(state, { heap: 120 * MIB, live: 100 * MIB });
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(60_000);
      keeper.tick();
    }
    expect(state.collections).toBe(2);
  });
});
