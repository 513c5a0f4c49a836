import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRemovalCount, type RemovalFact, removalRecord } from './removals.ts';

const HOUR = 3_600_000;
const CHECK_MS = 2000;

/**
 * A parking stream, two appliers and others that remove from it, and the operator that counts. An applier reports,
 * removes and reports again; in between it may be killed. The operator reads the reports before it reads the removals,
 * and what it reads may be one reading old.
 */
function createWorld({ tellsBefore = true } = {}) {
  let now = 0;
  let removed = 0;
  let started = 0;
  const told = new Map<string, RemovalFact>();
  let read: readonly RemovalFact[] = [];
  let count = createRemovalCount();
  let saved: string | undefined;
  let found = 0;

  const start = () => ({ process: `applier ${started++}`, removed: 0, pending: 0 });
  const appliers = [start(), start()];
  const tell = (one: (typeof appliers)[number]) => told.set(one.process, { ...one, created: 'then', time: now });

  function notice(): void {
    now += CHECK_MS;
    if (count.notice({ now, created: 'then', removed, told: read, isComplete: true })) found += 1;
  }

  return {
    found: () => found,
    steps: {
      begin(index: number, most: number) {
        const one = appliers[index]!;
        if (one.pending > 0) return;
        one.pending = most;
        if (tellsBefore) tell(one);
      },
      /** Another applier may have removed some of them. */
      remove(index: number, most: number) {
        const one = appliers[index]!;
        const some = Math.min(one.pending, most);
        removed += some;
        one.removed += some;
        one.pending = 0;
      },
      /** It gets no answer, and reports later that all of them may be gone. */
      removeUnanswered(index: number, most: number) {
        const one = appliers[index]!;
        removed += Math.min(one.pending, most);
        one.removed += one.pending;
        one.pending = 0;
      },
      tell: (index: number) => void tell(appliers[index]!),
      kill: (index: number) => void appliers.splice(index, 1, start()),
      readAndNotice() {
        read = [...told.values()];
        notice();
      },
      read() {
        read = [...told.values()];
      },
      notice,
      save() {
        saved = JSON.stringify(count.record());
      },
      restart() {
        if (saved === undefined) return;
        count = createRemovalCount();
        count.restore(removalRecord.parse(JSON.parse(saved)));
      },
      waitAnHour() {
        now += HOUR;
        for (const one of appliers) tell(one);
        read = [...told.values()];
      },
      /** The reports of dead processes disappear, long after an operator has recorded their content. */
      expire() {
        this.readAndNotice();
        this.save();
        for (const [process, { time }] of told) if (now - time > HOUR) told.delete(process);
      },
    },
    stranger(events: number) {
      removed += events;
    },
    /** Everything comes to rest. */
    settle() {
      for (const one of appliers) {
        one.pending = 0;
        tell(one);
      }
      read = [...told.values()];
      for (let rounds = 0; rounds < 12; rounds++) notice();
    },
  };
}

type World = ReturnType<typeof createWorld>;

const step = fc.tuple(
  fc.constantFrom(...(Object.keys(createWorld().steps) as (keyof World['steps'])[])),
  fc.nat(1),
  fc.integer({ min: 1, max: 5 }),
);
const steps = fc.array(step, { maxLength: 60 });
const run = (world: World, all: readonly (readonly [keyof World['steps'], number, number])[]) => {
  for (const [name, index, most] of all) world.steps[name](index, most);
};
/** More than killed appliers may have been about to remove. */
const MANY = 1000;

describe('removals from the parking stream', () => {
  test('are never attributed to others when appliers made them, killed, late or at the same time', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = createWorld();
        world.steps.readAndNotice();
        world.steps.save();
        run(world, all);
        world.settle();
        expect(world.found()).toBe(0);
      }),
      { numRuns: 5000 },
    );
  });

  test('would be attributed to others if a killed applier had reported only finished removals', () => {
    const world = createWorld({ tellsBefore: false });
    world.steps.readAndNotice();
    world.steps.begin(0, 1);
    world.steps.remove(0, 1);
    world.steps.kill(0);
    world.settle();
    expect(world.found()).toBe(1);
  });

  test('are not attributed to others when an operator starts after the reports of former appliers have expired', () => {
    const { steps, settle, found } = createWorld();
    steps.readAndNotice();
    steps.begin(0, 5);
    steps.remove(0, 5);
    steps.tell(0);
    steps.kill(0);
    steps.readAndNotice();
    steps.waitAnHour();
    steps.expire();
    steps.begin(1, 3);
    steps.remove(1, 3);
    steps.tell(1);
    steps.restart();
    settle();
    expect(found()).toBe(0);
  });

  test('are found once when others made them, whatever appliers do meanwhile', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const world = createWorld();
        world.steps.readAndNotice();
        world.steps.save();
        run(world, before);
        world.stranger(MANY);
        run(
          world,
          after.filter(([name]) => !['save', 'restart', 'expire'].includes(name)),
        );
        world.settle();
        expect(world.found()).toBe(1);
      }),
      { numRuns: 5000 },
    );
  });

  test('are found even for a single event', () => {
    const world = createWorld();
    world.steps.readAndNotice();
    world.steps.begin(0, 5);
    world.steps.remove(0, 3);
    world.settle();
    world.stranger(1);
    world.settle();
    expect(world.found()).toBe(1);
  });

  test('are not counted while an applier of an earlier release runs, nor in a recreated stream', () => {
    const count = createRemovalCount();
    const observation = (now: number, removed: number, { created = 'then', isComplete = true } = {}) =>
      count.notice({ now: now * 1000, created, removed, told: [], isComplete });
    const found = [
      observation(0, 5),
      observation(20, 9, { isComplete: false }),
      observation(40, 9),
      observation(60, 9),
      observation(80, 3, { created: 'later' }),
      observation(100, 3, { created: 'later' }),
      observation(120, 4, { created: 'later' }),
      observation(140, 4, { created: 'later' }),
    ];
    expect(found).toEqual([false, false, false, false, false, false, false, true]);
  });
});
