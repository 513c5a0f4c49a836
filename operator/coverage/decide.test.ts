import type { CoverageGap, CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { describe, expect, it } from 'vitest';
import { type CoverageFacts, closeVanished, decideCoverage, describePods, type StoredReport } from './decide.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();

const pod = (name: string, ready = true) => ({ uid: `uid-${name}`, name, ready, readyTime: at(600) });
/** Not ready: it fails its readiness probe, or has not become ready yet. */
const unready = (name: string, secondsAgo: number) => ({
  uid: `uid-${name}`,
  name,
  ready: false,
  runningTime: at(secondsAgo),
});

/** A healthy report of the pod called `name`, stored two seconds ago. */
function report(name: string, changes: Partial<CoverageReport> = {}, storedSecondsAgo = 2): StoredReport {
  return {
    sequence: 1,
    storedTime: NOW - storedSecondsAgo * 1000,
    report: {
      version: 1,
      instance: `${name}/uid-${name}`,
      podUid: `uid-${name}`,
      podName: name,
      namespace: 'flagsmith',
      node: 'node-1',
      release: '0.1.0',
      startedTime: at(600),
      time: at(storedSecondsAgo),
      spoolDepth: 0,
      spoolBytes: 0,
      oldestUnsentTime: null,
      allSentUntil: at(storedSecondsAgo),
      gaps: [],
      probe: { sequence: 1, time: at(storedSecondsAgo) },
      goodbye: false,
      ...changes,
    },
  };
}

const gap = (changes: Partial<CoverageGap> = {}): CoverageGap => ({
  from: at(300),
  until: at(200),
  reason: 'spoolFull',
  scope: null,
  ...changes,
});

const decide = (facts: Partial<CoverageFacts>) =>
  decideCoverage({ pods: [pod('a')], reports: [report('a')], now: NOW, freshMs: 30_000, ...facts });

describe('the Core API is covered', () => {
  const cases: Record<string, Partial<CoverageFacts>> = {
    'when every ready pod has a fresh proof': {
      pods: [pod('a'), pod('b')],
      reports: [report('a'), report('b')],
    },
    'while a pod that is not ready has no sidecar yet': { pods: [pod('a'), pod('b', false)] },
    'while a pod has just started, is not ready, and its sidecar has not reported yet': {
      pods: [pod('a'), unready('b', 20)],
    },
    'with reports of other pods lying around': { reports: [report('a'), report('gone', { goodbye: true }, 9000)] },
    'although the clock of a node is an hour ahead': {
      reports: [report('a', { time: at(-3600), probe: { sequence: 1, time: at(-3598) } })],
    },
    'although there is a backlog: it is on its way': { reports: [report('a', { spoolDepth: 5, spoolBytes: 5000 })] },
    'with gaps that are over': { reports: [report('a', { gaps: [gap()] })] },
    'by sidecars outside Kubernetes alone': {
      pods: [],
      reports: [report('vm-1', { namespace: '' }), report('vm-2', { namespace: '' })],
      staticCount: 2,
    },
  };
  it.each(Object.entries(cases))('%s', (_, facts) => {
    expect(decide(facts)).toMatchObject({ covered: true, reason: 'AllCovered' });
  });
});

it('says the same whichever of two sidecars with open gaps reported last', () => {
  const open = { gaps: [gap({ until: null })] };
  const one = { ...report('a', open), sequence: 1 };
  const two = { ...report('b', open), sequence: 2 };
  const messageOf = (reports: StoredReport[]) => decide({ pods: [pod('a'), pod('b')], reports }).message;
  expect(messageOf([two, { ...one, sequence: 3 }])).toBe(messageOf([one, two]));
});

describe('the Core API is not covered', () => {
  const cases: Record<string, [Partial<CoverageFacts>, { reason: string; message: RegExp }]> = {
    'when no pod is found': [{ pods: [] }, { reason: 'NoCoreApi', message: /label selector/ }],
    'when no pod is ready': [{ pods: [pod('a', false)] }, { reason: 'NoCoreApi', message: /ready/ }],
    'when a ready pod has no sidecar': [
      { pods: [pod('a'), pod('b')] },
      { reason: 'SidecarMissing', message: /pod b has no sidecar/ },
    ],
    'when a pod runs that is not ready and has no sidecar: connections to it are served': [
      { pods: [pod('a'), unready('b', 40)] },
      { reason: 'SidecarMissing', message: /pod b has no sidecar that reports: read/ },
    ],
    'when the sidecar of a pod is silent that runs and is not ready': [
      { pods: [pod('a'), unready('b', 600)], reports: [report('a'), report('b', {}, 31)] },
      { reason: 'ProofStale', message: /pod b/ },
    ],
    'when a sidecar said goodbye and its pod is still ready': [
      { reports: [report('a', { goodbye: true })] },
      { reason: 'SidecarMissing', message: /pod a has ended/ },
    ],
    'when a sidecar has never confirmed that its events reach the stream': [
      { reports: [report('a', { probe: null })] },
      { reason: 'ProofStale', message: /pod a has not confirmed/ },
    ],
    'when a report is old': [
      { reports: [report('a', {}, 31)] },
      { reason: 'ProofStale', message: /last confirmed at 2026-06-01T11:59:29Z/ },
    ],
    'when the report is new and the proof in it is old': [
      { reports: [report('a', { probe: { sequence: 1, time: at(40) } })] },
      { reason: 'ProofStale', message: /last confirmed at 2026-06-01T11:59:20Z/ },
    ],
    'while a gap is open': [
      { reports: [report('a', { gaps: [gap({ until: null })] })] },
      { reason: 'GapOpen', message: /misses writes since .* \(spoolFull\)/ },
    ],
    'when fewer sidecars outside Kubernetes prove themselves than there should be': [
      { reports: [report('a'), report('vm-1', { namespace: '' })], staticCount: 2 },
      { reason: 'StaticSidecarsMissing', message: /1 of 2/ },
    ],
  };
  it.each(Object.entries(cases))('%s', (_, [facts, expected]) => {
    expect(decide(facts)).toMatchObject({
      covered: false,
      reason: expected.reason,
      message: expect.stringMatching(expected.message),
    });
  });

  it('for several reasons, and the message names all of them', () => {
    const { message } = decide({ pods: [pod('a'), pod('b'), pod('c')], reports: [report('a', { probe: null })] });
    expect(message).toMatch(/pod a .*; pod b .*; pod c /);
  });
});

describe('gaps', () => {
  it('are those that sidecars report, even of deleted pods, oldest first', () => {
    const { gaps } = decide({
      reports: [
        report('a', { gaps: [gap({ scope: [{ clientKey: 'env' }] })] }),
        report('gone', { goodbye: true, gaps: [gap({ from: at(900), until: at(800) })] }, 700),
      ],
    });
    expect(gaps).toMatchObject([
      { podName: 'gone', from: at(900), until: at(800) },
      { podName: 'a', from: at(300), until: at(200), scope: [{ clientKey: 'env' }] },
    ]);
  });

  it('that only concern other projects neither count nor keep a project waiting', () => {
    const others = gap({ from: at(900), until: null, scope: [{ clientKey: 'other' }] });
    const both = gap({ scope: [{ clientKey: 'other' }, { projectId: 7 }] });
    const reports = [report('a', { gaps: [others, both] })];
    const facts = { pods: [pod('a')], reports, now: NOW, freshMs: 30_000 };
    const ours = decideCoverage(facts, (scope) => 'projectId' in scope);
    expect(ours).toMatchObject({ covered: true, gaps: [{ from: at(300) }] });
    expect(decideCoverage(facts)).toMatchObject({ covered: false, reason: 'GapOpen', gaps: [{ from: at(900) }, {}] });
  });

  it('without a scope concern every project', () => {
    const reports = [report('a', { gaps: [gap(), gap({ scope: [] })] })];
    const facts = { pods: [pod('a')], reports, now: NOW, freshMs: 30_000 };
    expect(decideCoverage(facts, () => false).gaps).toHaveLength(2);
  });

  it('begin when a sidecar that vanished with its pod had last sent everything', () => {
    const { covered, gaps } = decide({ reports: [report('a'), report('gone', { allSentUntil: at(95) }, 90)] });
    expect(covered).toBe(true);
    expect(gaps).toMatchObject([{ podName: 'gone', reason: 'sidecarVanished', from: at(95), until: at(0) }]);
  });

  it('stay open while a silent sidecar may still serve', () => {
    const { gaps } = decide({ reports: [report('a', {}, 45)] });
    expect(gaps).toMatchObject([{ podName: 'a', reason: 'sidecarVanished', from: at(45), until: null }]);
  });

  it('have an unknown beginning if a sidecar vanished before it had read the spool of an earlier one', () => {
    const { gaps } = decide({ reports: [report('a'), report('gone', { allSentUntil: null }, 90)] });
    expect(gaps).toMatchObject([{ from: '1970-01-01T00:00:00.000Z' }]);
  });

  it('are not caused by a sidecar with a final report', () => {
    expect(decide({ reports: [report('a'), report('gone', { goodbye: true }, 90)] }).gaps).toEqual([]);
  });

  it('stay open for a ready pod without a sidecar, from when it became ready', () => {
    const { gaps } = decide({ pods: [pod('a'), pod('b')] });
    expect(gaps).toMatchObject([{ podName: 'b', reason: 'noSidecar', from: at(600), until: null }]);
  });

  it('stay open for a running pod without a sidecar, from its start, whether or not it is ready', () => {
    const { gaps } = decide({ pods: [pod('a'), unready('b', 900), { ...pod('c'), runningTime: at(700) }] });
    expect(gaps).toMatchObject([
      { podName: 'b', reason: 'noSidecar', from: at(900), until: null },
      { podName: 'c', reason: 'noSidecar', from: at(700), until: null },
    ]);
  });

  it('end permanently when the final report of a sidecar that ended with its pod is published for it', () => {
    const gone = report('gone', { allSentUntil: at(95), gaps: [gap({ until: null })] }, 90);
    const facts = { pods: [pod('a')], reports: [report('a'), gone], now: NOW, freshMs: 30_000 };
    const [closed, ...others] = closeVanished(facts);
    expect(others).toEqual([]);
    const later = decide({ reports: [report('a'), closed as StoredReport], now: NOW + 3_600_000 });
    expect(later.gaps.filter(({ podName }) => podName === 'gone')).toMatchObject([
      { reason: 'spoolFull', until: at(0) },
      { reason: 'sidecarVanished', from: at(95), until: at(0) },
    ]);
    expect(later.gaps[1]?.id).toBe(decideCoverage(facts).gaps.find(({ reason }) => reason === 'sidecarVanished')?.id);
  });

  it('are caused by a lost spool, from the last time that it had sent everything until another spool exists', () => {
    const open = gap({ from: at(150), until: null, reason: 'spoolFailing' });
    const lost = report('a', { spoolId: 'first', allSentUntil: at(95), gaps: [open] }, 90);
    const next = { ...report('a', { spoolId: 'second', startedTime: at(20) }), sequence: 2 };
    const facts = { reports: [lost, next], pods: [pod('a')], now: NOW, freshMs: 30_000 };
    const decision = decideCoverage(facts);
    expect(decision).toMatchObject({ covered: true });
    expect(decision.gaps).toMatchObject([
      { reason: 'spoolFailing', from: at(150), until: at(20) },
      { reason: 'sidecarVanished', from: at(95), until: at(20) },
    ]);
    const [closed, ...others] = closeVanished(facts);
    expect(others).toEqual([]);
    const later = decide({ reports: [closed as StoredReport, { ...next, sequence: 3 }] });
    expect(later.gaps.map(({ id, from, until }) => ({ id, from, until }))).toEqual(
      decision.gaps.map(({ id, from, until }) => ({ id, from, until })),
    );
  });

  it('are not caused by reading both a report and its replacement', () => {
    const [before, after] = [report('a', { spoolId: 'first' }), report('a', { spoolId: 'first' })];
    expect(decide({ reports: [before, { ...after, sequence: 2 }] }).gaps).toEqual([]);
  });

  it('are not caused by the first spool of a pod, nor after a final report of the previous spool', () => {
    expect(decide({ reports: [report('a', { spoolId: 'first' })] }).gaps).toEqual([]);
    const ended = report('a', { spoolId: 'first', goodbye: true, allSentUntil: at(95) }, 90);
    expect(decide({ reports: [ended, { ...report('a', { spoolId: 'second' }), sequence: 2 }] }).gaps).toEqual([]);
  });

  it('stay open while a sidecar has no spool, because it may still find its previous one', () => {
    const had = report('a', { spoolId: 'first', allSentUntil: at(95) }, 90);
    const without = { ...report('a', { allSentUntil: null, startedTime: at(50) }), sequence: 2 };
    expect(decide({ reports: [had, without] }).gaps).toMatchObject([{ from: at(95), until: null }]);
    const found = { ...report('a', { spoolId: 'first', startedTime: at(5) }), sequence: 3 };
    expect(decide({ reports: [found, without] }).gaps).toMatchObject([{ from: at(50), until: at(5) }]);
  });

  it('are not ended while the pod exists, for a sidecar outside Kubernetes, or after a final report', () => {
    const silent = [report('a', {}, 90), report('vm', { namespace: '' }, 90), report('b', { goodbye: true }, 90)];
    expect(closeVanished({ pods: [pod('a')], reports: silent, now: NOW, freshMs: 30_000 })).toEqual([]);
  });

  it('have the same id in every decision', () => {
    const reports = [report('a', { gaps: [gap({ until: null })] })];
    const first = decide({ reports }).gaps.map(({ id }) => id);
    const later = decide({ reports, now: NOW + 5000 }).gaps.map(({ id }) => id);
    expect(later).toEqual(first);
    expect(first).toHaveLength(1);
  });
});

describe('the description of each pod', () => {
  const describeAll = (facts: Partial<CoverageFacts>) =>
    describePods({ pods: [], reports: [], now: NOW, freshMs: 30_000, ...facts }).map(({ name, state, release }) => ({
      name,
      state,
      release,
    }));

  it('shows which are covered, by which release, and which do not serve yet', () => {
    expect(describeAll({ pods: [pod('a'), pod('b'), unready('c', 5)], reports: [report('a')] })).toEqual([
      { name: 'a', state: 'covered', release: '0.1.0' },
      { name: 'b', state: 'uncovered', release: undefined },
      { name: 'c', state: 'starting', release: undefined },
    ]);
  });

  it('shows no pod as covered whose sidecar lacks a recent proof, has ended, or is missing writes', () => {
    const stale = report('a', { probe: { sequence: 1, time: at(300) } });
    const ended = report('b', { goodbye: true });
    const missing = report('c', { gaps: [gap({ until: null })] });
    const states = describeAll({ pods: [pod('a'), pod('b'), pod('c')], reports: [stale, ended, missing] });
    expect(states.map(({ state }) => state)).toEqual(['uncovered', 'uncovered', 'uncovered']);
  });
});
