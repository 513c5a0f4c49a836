import { describe, expect, test } from 'vitest';
import { ALL_RULES, explore } from './protocol-model.ts';

describe('in every order of steps', { timeout: 240_000 }, () => {
  test('Edge ends as Core says, and what Edge clients wrote stays', () => {
    const { states, violations } = explore(ALL_RULES);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('so it does when an applier is killed at any step and its event comes again', () => {
    expect(explore(ALL_RULES, { kills: 1 }).violations).toEqual([]);
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
