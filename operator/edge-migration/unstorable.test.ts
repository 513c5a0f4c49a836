import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { condition, copiedWork, covered, following, NOON, next, visitedFacts, work } from './testing/facts.ts';

const TAKEN: UnstorableIdentity = { environmentId: 3, identityId: 7, cause: 'KeyTakenByAnother' };
const DIGITS: UnstorableIdentity = { environmentId: 3, identityId: 8, cause: 'NumberTooPrecise' };

/** Copied a minute after noon, with sidecars and appliers in place. */
function copied(changes: Partial<Facts> = {}): Facts {
  const settling = visitedFacts({ capture: covered(), replay: following(), work: copiedWork() });
  return next({ ...settling, now: NOON + 60_000 }, 1_000, { work: work(), ...changes });
}

const project = following().project;
const withUnstorable = (...unstorable: UnstorableIdentity[]): Partial<Facts> => ({
  replay: following({ project: { ...project, unstorable } }),
});
const reports = ({ actions }: ReturnType<typeof decide>) =>
  actions.filter(({ kind }) => kind === 'writeUnstorableReport');

describe('identities that Edge cannot hold', () => {
  test('are shown in the status by reason and in Degraded, and the report is written', () => {
    const decision = decide(copied(withUnstorable(TAKEN, DIGITS)));
    expect(decision.status.unstorable).toMatchObject({
      total: 2,
      byReason: [
        { reason: 'KeyTakenByAnother', count: 1 },
        { reason: 'NumberTooPrecise', count: 1 },
      ],
      reportName: 'project-42-0a1b2c3d-unstorable',
    });
    expect(condition(decision.status, 'Degraded')).toBe('True/IdentitiesUnstorable');
    expect(condition(decision.status, 'Replaying')).toBe('True/Following');
    expect(decision.status.message).toContain('project-42-0a1b2c3d-unstorable');
    expect(reports(decision)).toEqual([{ kind: 'writeUnstorableReport', identities: [TAKEN, DIGITS] }]);
  });

  test('are written once for each list, and once more when none is left', () => {
    const first = copied(withUnstorable(DIGITS));
    const same = next(first, 10_000);
    expect(reports(decide(same))).toEqual([]);
    const other = next(same, 10_000, withUnstorable(TAKEN));
    expect(reports(decide(other))).toHaveLength(1);
    const none = decide(next(other, 10_000, withUnstorable()));
    expect(reports(none)).toEqual([{ kind: 'writeUnstorableReport', identities: [] }]);
    expect(none.status.unstorable).toBeUndefined();
    expect(condition(none.status, 'Degraded')).toBe('False/AsExpected');
  });

  test('stay listed while NATS cannot be read', () => {
    const known = next(copied(withUnstorable(DIGITS)), 10_000, {
      replay: { kind: 'unknown', reason: 'StreamUnreachable', message: 'NATS cannot be read' },
    });
    expect(decide(known).status.unstorable).toMatchObject({ total: 1 });
  });

  test('do not keep a migration from its end, after which the list stays without a warning', () => {
    const facts = copied(withUnstorable(DIGITS));
    const deadline = Date.parse(decide(facts).status.replay?.deadline ?? '');
    const project42 = { ...project, unstorable: [DIGITS] };
    const ended = next(facts, deadline - facts.now + 1000, {
      replay: following({ project: project42, takenUntil: deadline + 1 }),
      capture: covered({ allSentUntil: deadline + 1 }),
    });
    const { status } = decide(ended);
    expect(condition(status, 'Succeeded')).toBe('True/WindowClosed');
    expect(status.unstorable).toMatchObject({ total: 1 });
    expect(condition(status, 'Degraded')).toBe('False/AsExpected');
  });
});
