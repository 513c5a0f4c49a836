import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts, JobPodsFact } from './facts.ts';
import { checkpoint, condition, copiedWork, job, NOON, next, twoRanges, visitedFacts, work } from './testing/facts.ts';

const SECOND = 1_000;
const active = job({ pods: { running: 0, wanted: 2 } });

/** A running copy with pods in this state. */
function copying(jobPods: Partial<JobPodsFact>, changes: Partial<Facts['work']> = {}): Facts {
  const running = work({ ranges: twoRanges, jobs: [active], ...changes });
  return visitedFacts({ work: running, jobPods: { missing: undefined, stranded: undefined, ...jobPods } });
}

const missing = { running: 0, wanted: 2, since: NOON, refusal: undefined };
const degradedBy = (facts: Facts) => {
  const { status } = decide(facts);
  const { reason, message } = status.conditions?.find(({ type }) => type === 'Degraded') ?? {};
  return `${reason}: ${message}`;
};

describe('pods that the Job controller does not create', () => {
  const refused = copying({ missing: { ...missing, refusal: 'pods "x" is forbidden: exceeded quota: small' } });

  test('are reported in the words of the API server, before problems of single pods', () => {
    const problem = { pod: 'p-1', reason: 'PodFailed', message: 'out of memory' };
    const both = { ...refused, work: { ...refused.work, podProblems: [problem] } };
    for (const facts of [refused, both]) {
      expect(degradedBy(facts)).toMatch(/^PodsRefused: Job \S+ has 0 of 2 pods: pods "x" .*exceeded quota: small; /);
    }
  });

  test('are checked again, because no watch reports events', () => {
    expect(decide({ ...refused, now: NOON + 10 * SECOND }).nextTime).toBe(NOON + 15 * SECOND);
  });

  test('are no problem while the migration is suspended', () => {
    const suspended = {
      ...refused,
      migration: { ...refused.migration, spec: { ...refused.migration.spec!, suspend: true } },
    };
    expect(degradedBy(suspended)).toMatch(/^AsExpected/);
  });

  test('without an explanation are reported after a minute', () => {
    const facts = copying({ missing });
    expect(degradedBy({ ...facts, now: NOON + 59 * SECOND })).toMatch(/^AsExpected/);
    expect(degradedBy({ ...facts, now: NOON + 60 * SECOND })).toMatch(/^PodsMissing: .*kube-controller-manager/);
  });

  test('are reported as unexplained if the events may not be read', () => {
    const facts = copying({ missing: { ...missing, unread: 'events is forbidden' } });
    expect(degradedBy({ ...facts, now: NOON + 60 * SECOND })).toMatch(/cannot be read \(events is forbidden\)/);
  });

  test('are no problem while others run: a failed range waits before it is retried', () => {
    const facts = copying({ missing: { ...missing, running: 1 } });
    expect(degradedBy({ ...facts, now: NOON + 600 * SECOND })).toMatch(/^AsExpected/);
  });
});

describe('pods that outlive their workers', () => {
  const stranded = { containers: ['istio-proxy of pod p-1'], since: NOON };
  const ranges = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 500 }, { finished: true }));
  const done = copying({ stranded }, { checkpoints: ranges });
  const remove = { kind: 'removeJob', operation: 'copy', attempt: 1, uid: 'job-uid' };

  test('get half a minute to end, and are then removed, with the reason in the status', () => {
    const before = decide({ ...done, now: NOON + 29 * SECOND });
    expect(before.actions.map(({ kind }) => kind)).not.toContain('removeJob');
    expect(before.nextTime).toBeLessThanOrEqual(NOON + 30 * SECOND);
    const after = decide({ ...done, now: NOON + 30 * SECOND });
    expect(after.actions).toEqual([remove]);
    expect(condition(after.status, 'Degraded')).toBe('True/PodsNotEnding');
    expect(degradedBy({ ...done, now: NOON + 30 * SECOND })).toContain('istio-proxy of pod p-1');
  });

  test('are removed once: until they are gone there is nothing to do', () => {
    const going = { ...done, now: NOON + 40 * SECOND, work: { ...done.work, jobs: [{ ...active, deleting: true }] } };
    expect(decide(going).actions).not.toContainEqual(remove);
    expect(degradedBy(going)).toMatch(/^PodsNotEnding/);
  });

  test('leave a complete copy by its checkpoints, once they are gone and no page can be written any more', () => {
    const gone = next({ ...done, now: NOON + 30 * SECOND }, 5 * SECOND, {
      jobPods: undefined,
      work: { ...copiedWork(), jobs: [], idleSince: NOON + 35 * SECOND },
    });
    expect(condition(decide(gone).status, 'Copied')).toBe('False/Settling');
    const later = { ...gone, now: NOON + 65 * SECOND };
    expect(condition(decide(later).status, 'Copied')).toBe('True/Complete');
  });

  test("are reported with a worker's failure, which no mesh explains", () => {
    const problem = { pod: 'p-1', reason: 'PodFailed', message: 'Core refuses the password' };
    const failed = copying({ stranded }, { checkpoints: [], podProblems: [problem] });
    const message = degradedBy({ ...failed, now: NOON + 30 * SECOND });
    expect(message).toMatch(/^PodsNotEnding.* that of pod p-1 by: Core refuses the password; .*istio-proxy/);
  });

  test('with unfinished ranges give way to the next attempt', () => {
    const failed = copying({ stranded }, { checkpoints: ranges.slice(0, 1) });
    expect(decide({ ...failed, now: NOON + 30 * SECOND }).actions).toEqual([remove]);
    const gone = next({ ...failed, now: NOON + 30 * SECOND }, 5 * SECOND, {
      jobPods: undefined,
      work: { ...failed.work, jobs: [] },
    });
    expect(decide(gone).actions).toEqual([]);
    expect(degradedBy(gone)).toMatch(/^RangesFailed.*its pods did not end; retried at 2026-05-04T12:00:45Z/);
    const { status, nextTime } = decide(gone);
    expect(nextTime).toBe(NOON + 45 * SECOND);
    const later = { ...gone, now: NOON + 45 * SECOND, migration: { ...gone.migration, status } };
    expect(decide(later).actions).toContainEqual(
      expect.objectContaining({ kind: 'createJob', attempt: 2, rangeIds: [1] }),
    );
  });
});

test('nothing is complete while a deleted pod does not end, and the status says so', () => {
  const lingering = { pod: 'p-1', reason: 'PodNotEnding', message: 'was deleted' };
  const facts = visitedFacts({ work: { ...copiedWork(), idleSince: undefined, podProblems: [lingering] } });
  const hour = { ...facts, now: NOON + 3_600 * SECOND };
  expect(condition(decide(hour).status, 'Copied')).toBe('False/Settling');
  expect(degradedBy(hour)).toBe('PodNotEnding: pod p-1: was deleted');
});
