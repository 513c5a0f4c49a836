import { describe, expect, test } from 'vitest';
import {
  ALL_RULES,
  DELETING_SCENARIOS,
  type ExploreOptions,
  explore,
  FAULT_SCENARIOS,
  type ProcessFault,
  type Rules,
  SCENARIOS,
} from './protocol-model.ts';

describe('in every order of steps', { timeout: 900_000 }, () => {
  test("in every order of steps Edge ends as Core says, and Edge clients' writes stay", () => {
    const { states, violations } = explore(ALL_RULES);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('Edge ends as Core says when an applier is killed at any step and its event is redelivered', () => {
    const scenarios = SCENARIOS.filter((writes) => writes.length < 3);
    expect(explore(ALL_RULES, { faults: ['kill'], scenarios }).violations).toEqual([]);
  });
});

/** Whether some order of steps ends like this without those rules. */
function happens(end: string, without: Partial<Rules>, options: Omit<ExploreOptions, 'until'> = {}): boolean {
  const until = (violation: string) => violation.endsWith(end);
  return explore({ ...ALL_RULES, ...without }, { ...options, until }).violations.some(until);
}

describe('each rule is needed', { timeout: 900_000 }, () => {
  test('without reading Core again, a change between read and write is lost', () => {
    expect(happens('the trait differs', { rereads: false })).toBe(true);
  });

  test('without handling removals again, the copy brings back what Core has removed', () => {
    expect(happens('a deleted identity is in Edge', { holds: false })).toBe(true);
  });

  test('a handler given the answer of an earlier read misses the change that it should handle', () => {
    expect(happens('the trait differs', { fresh: false })).toBe(true);
  });

  test("without checking a document's owner, another identity's with the same key is changed", () => {
    expect(happens("another identity's document was changed", { owns: false })).toBe(true);
  });

  test('a check of the owner before the write is not enough: the document may be replaced in between', () => {
    expect(happens("another identity's document was changed", { guards: false })).toBe(true);
  });

  test('without remembering what Edge cannot hold, it does not follow once there is room', () => {
    expect(happens('the trait differs', { remembers: false }, { scenarios: ['L2l'] })).toBe(true);
  });

  test('without replacing, Edge keeps the identity that was deleted and created again', () => {
    expect(happens('Edge has the identity that was deleted before', { replaces: false })).toBe(true);
  });
});

describe('a write that arrives after its sender stopped waiting', { timeout: 900_000 }, () => {
  const optionsOf = (faults: readonly ProcessFault[]) => ({
    faults,
    scenarios: faults.length > 1 ? DELETING_SCENARIOS : FAULT_SCENARIOS,
  });
  const isBack = (without: Partial<Rules>, faults: readonly ProcessFault[]) =>
    happens('a deleted identity is in Edge', without, optionsOf(faults));

  test.each<[string, readonly ProcessFault[]]>([
    ['of an applier that was killed', ['kill']],
    ['that was given up after a time', ['timeout']],
    ['of an applier that stood still until its event was handled elsewhere', ['freeze']],
    ['of an applier that was killed after another', ['kill', 'kill']],
    ['of an applier whose event another one that stood still had, too', ['freeze', 'kill']],
    ['of an applier that was killed, of whose event another one remembers that it gave it back', ['return', 'kill']],
    ['that was given up by an applier that gave its event back', ['return', 'timeout']],
    ['of an applier that stood still, of whose event another one remembers that it gave it back', ['return', 'freeze']],
    ['of an applier that was killed, whose event it had given back late', ['return', 'lateNak', 'kill']],
    ['that was under way when NATS crashed', ['forget']],
    ['of an applier that was killed before NATS crashed', ['kill', 'forget']],
  ])('a late write does no lasting harm: one %s', (_, faults) => {
    expect(explore(ALL_RULES, optionsOf(faults)).violations).toEqual([]);
  });

  // The previous applier has done everything: the next one writes only when the identity comes again.
  const answeredLate = { faults: ['lateAck', 'kill'], scenarios: ['dcd'] } as const;

  test('a late write of a killed applier does no harm if its event was acknowledged late for another', () => {
    expect(explore(ALL_RULES, answeredLate).violations).toEqual([]);
  });

  test.each<[string, readonly ProcessFault[]]>([
    ['a kill', ['kill']],
    ['a timeout', ['timeout']],
  ])('a late write brings a deleted identity back after %s if its event is not handled again', (_, faults) => {
    expect(isBack({ looksAgain: false }, faults)).toBe(true);
  });

  test('a late write brings a deleted identity back if its applier gave the event back without doubt', () => {
    expect(isBack({ returnsClean: false }, ['timeout', 'return'])).toBe(true);
  });

  test("a late write brings a deleted identity back if deliveries since the event's return are not counted", () => {
    expect(isBack({ counts: false, renews: false }, ['return', 'kill'])).toBe(true);
  });

  test('a late write brings a deleted identity back if a late acknowledgement counts for a killed applier', () => {
    expect(happens('a deleted identity is in Edge', { renews: false }, answeredLate)).toBe(true);
  });

  test("a late write brings a deleted identity back if NATS has not confirmed the event's return", () => {
    expect(isBack({ confirms: false }, ['return', 'lateNak', 'kill'])).toBe(true);
  });

  test('a late write brings a deleted identity back if deliveries that NATS forgot are in no doubt', () => {
    expect(isBack({ distrusts: false }, ['forget'])).toBe(true);
  });

  test("a late write brings a deleted identity back if sent after its event's redelivery elsewhere", () => {
    expect(isBack({ expires: false }, ['freeze', 'timeout'])).toBe(true);
  });

  test('a late write brings a deleted identity back if a frozen applier answers for the one at work', () => {
    expect(isBack({ yields: false, renews: false }, ['freeze', 'kill'])).toBe(true);
  });

  test('a late write of the copy brings a deleted identity back if the copy is complete before it', () => {
    expect(isBack({ settles: false }, ['kill'])).toBe(true);
  });

  const repairing = (faults: readonly ProcessFault[]) => ({ faults, scenarios: DELETING_SCENARIOS, repairs: true });
  const isBackByRepair = (without: Partial<Rules>, faults: readonly ProcessFault[]) =>
    happens('a deleted identity is in Edge', without, repairing(faults));

  test.each<[string, readonly ProcessFault[]]>([
    ['was killed', ['kill']],
    ['gave it up after a time', ['timeout']],
    ['stood still until another pod had taken over', ['freeze']],
  ])('a late write of a repair does no lasting harm: one that %s', (_, faults) => {
    expect(explore(ALL_RULES, repairing(faults)).violations).toEqual([]);
  });

  test.each<[string, readonly ProcessFault[]]>([
    ['was killed', ['kill']],
    ['gave it up after a time', ['timeout']],
  ])('a late write brings a deleted identity back if a repair that %s is not done again', (_, faults) => {
    expect(isBackByRepair({ repairsAgain: false }, faults)).toBe(true);
  });

  test("a late write brings a deleted identity back if a repair sends it after another pod's takeover", () => {
    expect(isBackByRepair({ expires: false }, ['freeze', 'timeout'])).toBe(true);
  });
});
