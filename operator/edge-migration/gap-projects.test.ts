import { scopeName, type WriteScope } from '@edge-migration/contract/write-scope.ts';
import { manualClock } from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import { describe, expect, it } from 'vitest';
import type { StoredReport } from '../coverage/decide.ts';

import { createGapProjects, MOST_NAMES } from './gap-projects.ts';

const time = '2026-06-01T00:00:00.000Z';
const never = new AbortController().signal;

function reportOf(scope: WriteScope[]): StoredReport {
  const sidecar = {
    instance: 'a/uid',
    podUid: 'uid',
    podName: 'a',
    namespace: 'flagsmith',
    node: 'n',
    release: '0.1.0',
  };
  const facts = {
    spoolDepth: 0,
    spoolBytes: 0,
    oldestUnsentTime: null,
    allSentUntil: time,
    probe: null,
    goodbye: false,
  };
  const gaps: StoredReport['report']['gaps'] = [{ from: time, until: time, reason: 'bodyTooLarge', scope }];
  return { report: { version: 1, ...sidecar, ...facts, startedTime: time, time, gaps }, sequence: 1, storedTime: 0 };
}

/** A Core in which every feature belongs to project 42. */
function setUp() {
  const asked: number[] = [];
  const projects = createGapProjects(async (scopes) => {
    asked.push(scopes.length);
    return new Map(scopes.map((scope) => [scopeName(scope), new Set([42])]));
  }, manualClock());
  return { asked, projects };
}

describe('the projects that gaps name', () => {
  it('are read from Core once for each name', async () => {
    const { asked, projects } = setUp();
    for (let pass = 0; pass < 3; pass++) await projects.follow([reportOf([{ featureId: 1 }, { featureId: 2 }])], never);
    expect(asked).toEqual([2]);
    expect([41, 42].map((id) => projects.mayConcern({ featureId: 1 }, id))).toEqual([false, true]);
  });

  it('include every project for names beyond the limit, however many names an invented report has', async () => {
    const { asked, projects } = setUp();
    const names = Array.from({ length: MOST_NAMES + 100 }, (_, index) => ({ featureId: index + 1 }));
    for (let pass = 0; pass < 3; pass++) await projects.follow([reportOf(names)], never);
    await projects.follow([reportOf(names.map(({ featureId }) => ({ projectId: featureId })))], never);
    expect(asked).toEqual([MOST_NAMES]);
    expect(projects.mayConcern({ featureId: 1 }, 41)).toBe(false);
    expect(projects.mayConcern({ featureId: MOST_NAMES + 1 }, 41)).toBe(true);
  });
});
