import { describe, expect, test } from 'vitest';
import { ALL_RULES, DELETING_SCENARIOS, explore, FAULT_SCENARIOS, type Fault, SCENARIOS } from './protocol-model.ts';

describe('in every order of steps', { timeout: 240_000 }, () => {
  test('Edge ends as Core says, and what Edge clients wrote stays', () => {
    const { states, violations } = explore(ALL_RULES);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('so it does when an applier is killed at any step and its event comes again', () => {
    const scenarios = SCENARIOS.filter((writes) => writes.length < 3);
    expect(explore(ALL_RULES, { faults: ['kill'], scenarios }).violations).toEqual([]);
  });
});

describe('each rule is needed', { timeout: 240_000 }, () => {
  test('without reading Core again, a change between read and write is lost', () => {
    expect(explore({ ...ALL_RULES, rereads: false }).violations).not.toEqual([]);
  });

  test('without handling removals again, the copy brings back what Core has removed', () => {
    const { violations } = explore({ ...ALL_RULES, holds: false });
    expect(violations.some((what) => what.endsWith('a deleted identity is in Edge'))).toBe(true);
  });

  test('given the answer of a read that began before it asked, a handler misses the change that it is there for', () => {
    const { violations } = explore({ ...ALL_RULES, fresh: false });
    expect(violations.some((what) => what.endsWith('the trait differs'))).toBe(true);
  });

  test("without looking whose a document is, another identity's of the same key is changed", () => {
    const { violations } = explore({ ...ALL_RULES, owns: false });
    expect(violations.some((what) => what.endsWith("another identity's document was changed"))).toBe(true);
  });

  test('looking whose it is before the write is not enough: the document may be exchanged in between', () => {
    const { violations } = explore({ ...ALL_RULES, guards: false });
    expect(violations.some((what) => what.endsWith("another identity's document was changed"))).toBe(true);
  });

  test('without remembering what Edge cannot hold, it does not follow once there is room', () => {
    const { violations } = explore({ ...ALL_RULES, remembers: false });
    expect(violations.some((what) => what.startsWith('L2l') && what.endsWith('the trait differs'))).toBe(true);
  });

  test('without replacing, Edge keeps the identity that was deleted and created again', () => {
    const { violations } = explore({ ...ALL_RULES, replaces: false });
    expect(violations.some((what) => what.endsWith('Edge has the identity that was deleted before'))).toBe(true);
  });
});

describe('a write that arrives when no one waits for it any more', { timeout: 240_000 }, () => {
  const late = (rules: Partial<typeof ALL_RULES>, faults: readonly Fault[]) => {
    const scenarios = faults.length > 1 ? DELETING_SCENARIOS : FAULT_SCENARIOS;
    return explore({ ...ALL_RULES, ...rules }, { faults, scenarios }).violations;
  };
  const isBack = (violations: readonly string[]) =>
    violations.some((what) => what.endsWith('a deleted identity is in Edge'));

  test.each<[string, readonly Fault[]]>([
    ['of an applier that was killed', ['kill']],
    ['that was given up after a time', ['timeout']],
    ['of an applier that stood still until its event was handled elsewhere', ['freeze']],
    ['of an applier that was killed after another', ['kill', 'kill']],
    ['of an applier whose event another one that stood still had, too', ['freeze', 'kill']],
  ])('does no lasting harm: one %s', (_, faults) => {
    expect(late({}, faults)).toEqual([]);
  });

  test.each<[string, readonly Fault[]]>([
    ['a kill', ['kill']],
    ['a timeout', ['timeout']],
  ])('brings a deleted identity back after %s if its event is not handled again', (_, faults) => {
    expect(isBack(late({ looksAgain: false }, faults))).toBe(true);
  });

  test('brings a deleted identity back if it may be sent after its event was delivered to another applier', () => {
    expect(isBack(late({ expires: false }, ['freeze', 'timeout']))).toBe(true);
  });

  test('brings a deleted identity back if an applier that stood still answers for the one that handles its event', () => {
    expect(isBack(late({ yields: false }, ['freeze', 'kill']))).toBe(true);
  });

  test('of the copy brings a deleted identity back if the copy is complete before it', () => {
    expect(isBack(late({ settles: false }, ['kill']))).toBe(true);
  });
});
