import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { describe, expect, it } from 'vitest';
import type { CoreApiPod, StoredReport } from './decide.ts';
import { findSent } from './sent.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();

const running = (name: string): CoreApiPod => ({ uid: `uid-${name}`, name, ready: false, runningTime: at(600) });

function report(name: string, changes: Partial<CoverageReport> = {}): StoredReport {
  return {
    sequence: 1,
    storedTime: NOW,
    report: {
      version: 1,
      instance: `${name}/uid-${name}`,
      podUid: `uid-${name}`,
      podName: name,
      namespace: 'flagsmith',
      node: 'node-1',
      release: '0.1.0',
      startedTime: at(600),
      time: at(0),
      spoolDepth: 0,
      spoolBytes: 0,
      oldestUnsentTime: null,
      allSentUntil: at(2),
      gaps: [],
      probe: null,
      goodbye: false,
      ...changes,
    },
  };
}

const find = (pods: CoreApiPod[], reports: StoredReport[]) => findSent({ pods, reports, now: NOW, freshMs: 30_000 });

describe('all sidecars have sent their events', () => {
  it('until now, if there are none', () => {
    expect(find([], [])).toEqual({ until: NOW, laggard: undefined });
  });

  it('until the time of the one furthest behind, which is named', () => {
    const sent = find([running('a'), running('b')], [report('a'), report('b', { allSentUntil: at(40) })]);
    expect(sent).toMatchObject({ until: NOW - 40_000, laggard: expect.stringContaining('pod b') });
  });

  it('until an unknown time, if one of them has not read its spool yet', () => {
    const sent = find([running('a'), running('b')], [report('a', { allSentUntil: null }), report('b')]);
    expect(sent).toMatchObject({ until: undefined, laggard: expect.stringContaining('pod a') });
  });

  it('and names the same one of two that are equally far, whichever reported last', () => {
    const [one, two] = ['a', 'b'].map((name) => report(name, { allSentUntil: null })) as [StoredReport, StoredReport];
    expect(find([], [two, one]).laggard).toBe(find([], [one, two]).laggard);
  });

  it('only until the start of a pod whose sidecar has never reported, and the message names the remedy', () => {
    const sent = find([running('a'), running('b')], [report('a')]);
    expect(sent.until).toBe(NOW - 600_000);
    expect(sent.laggard).toMatch(/pod b has no sidecar that ever reported: .*NATS.*replace the pod/);
  });

  it('regardless of a pod that does not run: it has served nothing, or will send nothing more', () => {
    expect(find([{ uid: 'uid-b', name: 'b', ready: false }], [report('a')]).until).toBe(NOW - 2_000);
  });

  it('only until a final report, in a pod that still runs: the sidecar may have been restarted', () => {
    const goodbye = report('a', { goodbye: true, allSentUntil: at(300) });
    expect(find([running('a')], [goodbye])).toMatchObject({
      until: NOW - 300_000,
      laggard: expect.stringMatching(/pod a said goodbye/),
    });
    expect(find([], [goodbye]).until).toBe(NOW);
  });

  it('even if the final report of a lost spool is older than the reports of its successor', () => {
    const lost = report('a', { spoolId: 'first', goodbye: true, allSentUntil: at(300) });
    const next = { ...report('a', { spoolId: 'second' }), sequence: 2 };
    expect(find([running('a')], [lost, next]).until).toBe(NOW - 2_000);
  });
});
