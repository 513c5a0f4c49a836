import { type InstallationReport, installationReport } from '@edge-migration/operator/installation/report.ts';
import { describe, expect, test } from 'vitest';
import { examineInstallation, examineProbe } from './installation.ts';

const NOW = Date.parse('2026-05-04T12:00:00Z');

const healthy: InstallationReport = {
  version: 1,
  time: '2026-05-04T11:59:30Z',
  release: '0.2.0',
  instance: 'operator-0',
  checkedTime: '2026-05-04T11:58:30Z',
  checks: ['Postgres', 'DynamoDB', 'NATS', 'Clocks'].map((name) => ({ name, verdict: 'ok', text: 'it answers' })),
  coverage: { state: 'covered', message: 'all 2 Core API instances have a live sidecar' },
  coreApiPods: {
    total: 2,
    listed: ['api-0', 'api-1'].map((name) => ({ name, state: 'covered', message: 'it is covered', release: '0.2.0' })),
  },
  appliers: { total: 1, listed: [{ instance: 'applier-0', applying: true, outage: null, release: '0.2.0' }] },
  wrongClocks: { total: 0, listed: [] },
  clocks: 5,
};

const check = (changes: Partial<InstallationReport>, now = NOW) => {
  const report = installationReport.parse({ ...healthy, ...changes });
  return examineInstallation({ kind: 'found', report, savedTime: Date.parse('2026-05-04T11:59:30Z') }, now, '0.2.0');
};
const lines = (changes: Partial<InstallationReport>, now = NOW) =>
  check(changes, now).map(({ check, verdict, message }) => `${verdict} ${check}: ${message}`);

describe('the operator report', () => {
  test('a report without problems is healthy', () => {
    expect(new Set(check({}).map(({ verdict }) => verdict))).toEqual(new Set(['ok']));
    expect(check({})[0]?.message).toBe('operator-0 leads, and reported 30s ago; it had checked the stores 1m before');
  });

  test('an operator report that is minutes old counts as unknown, however healthy it was', () => {
    const findings = check({}, NOW + 10 * 60_000);
    expect(findings[0]?.message).toContain('has not reported for 10m30s');
    expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(['unknown']));
  });

  test("the age of an operator report follows the API server's clock, not the operator's", () => {
    expect(check({ time: '2026-05-04T13:00:00Z' }, NOW + 10 * 60_000)[0]).toMatchObject({ verdict: 'unknown' });
    expect(check({ time: '2026-05-04T09:00:00Z' })[0]).toMatchObject({ verdict: 'ok' });
  });

  test('a missing or unreadable operator report is unknown, never healthy', () => {
    for (const fact of [{ kind: 'missing' }, { kind: 'unreadable', problem: 'Forbidden' }] as const) {
      const [finding, ...others] = examineInstallation(fact, NOW, '0.2.0');
      expect(finding).toMatchObject({
        verdict: 'unknown',
        message: expect.stringMatching(/^not checked: Postgres, DynamoDB, NATS/),
      });
      expect(others).toEqual([]);
    }
  });

  test('the findings name a store that was not checked', () => {
    expect(lines({ checks: healthy.checks.filter(({ name }) => name !== 'DynamoDB') })).toContain(
      'unknown DynamoDB: not checked by the operator',
    );
  });

  test('the findings name every Core API pod that is not covered, and no other', () => {
    const coreApiPods: InstallationReport['coreApiPods'] = {
      total: 3,
      listed: [
        { name: 'api-2', state: 'uncovered', message: 'pod api-2 has no sidecar that reports' },
        { name: 'api-3', state: 'starting', message: 'pod api-3 does not serve yet' },
        { name: 'api-0', state: 'covered', message: 'pod api-0 is covered', release: '0.2.0' },
      ],
    };
    const coverage = { state: 'uncovered', message: 'pod api-2 has no sidecar that reports' } as const;
    expect(lines({ coreApiPods, coverage })).toEqual(
      expect.arrayContaining([
        'failed coverage: not every write to Core is captured',
        'failed coverage of pod api-2: pod api-2 has no sidecar that reports',
        'unknown coverage of pod api-3: pod api-3 does not serve yet',
      ]),
    );
    expect(lines({ coreApiPods, coverage }).join()).not.toContain('api-0');
  });

  test('the findings explain missed writes that no single pod accounts for', () => {
    const coverage = { state: 'uncovered', message: '1 of 2 sidecars outside Kubernetes have confirmed it' } as const;
    expect(lines({ coverage })).toContain('failed coverage: 1 of 2 sidecars outside Kubernetes have confirmed it');
  });

  test('a report without appliers has failed; an applier with an outage is named with its reason', () => {
    expect(lines({ appliers: { total: 0, listed: [] } })).toContain(
      'failed appliers: none has reported in the last seconds',
    );
    const listed = [{ instance: 'applier-0', applying: true, outage: 'CoreUnreachable: db:5432', release: '0.2.0' }];
    expect(lines({ appliers: { total: 1, listed } })).toContain('warning applier applier-0: CoreUnreachable: db:5432');
  });

  test('the findings name wrong clocks, and say when none could be compared', () => {
    const wrongClocks = { total: 1, listed: [{ process: 'applier applier-0', aheadSeconds: -90 }] };
    expect(lines({ wrongClocks })).toContain('warning clock of applier applier-0: 1m30s behind');
    expect(lines({ clocks: 0 })).toContain('unknown process clocks: no clock could be compared with the clock of NATS');
  });

  test('the findings name processes of another release, this program included, but not silent ones', () => {
    const listed = [
      { instance: 'applier-0', applying: true, outage: null, release: '0.1.0' },
      { instance: 'applier-1', applying: true, outage: null },
    ];
    const report = installationReport.parse({ ...healthy, appliers: { total: 2, listed } });
    const found = examineInstallation({ kind: 'found', report, savedTime: NOW }, NOW, '0.3.0').filter(
      ({ check }) => check === 'versions',
    );
    expect(found.map(({ verdict, message }) => `${verdict} ${message}`)).toEqual([
      'warning this program is of release 0.3.0, the operator of 0.2.0',
      'warning applier applier-0 is of release 0.1.0, the operator of 0.2.0',
      'unknown 1 do not report their release: applier applier-1',
    ]);
  });

  test('a report about thousands of pods names ten and counts the rest', () => {
    const listed = Array.from({ length: 200 }, (_, index) => ({
      name: `api-${index}`,
      state: 'uncovered' as const,
      message: 'it has no sidecar',
    }));
    const findings = lines({ coreApiPods: { total: 3000, listed }, coverage: { state: 'uncovered', message: 'many' } });
    expect(findings.filter((line) => line.includes('coverage of pod'))).toHaveLength(10);
    expect(findings).toContain('warning coverage: at least 190 more Core API pods that are not covered');
  });
});

describe('a probe', () => {
  test('a probe that was not requested has no result; one that could not be run is unknown', () => {
    expect(examineProbe(undefined)).toEqual([]);
    expect(examineProbe({ kind: 'failed', problem: 'Forbidden' })).toMatchObject([
      { check: 'probe', verdict: 'unknown' },
    ]);
  });

  test('a probe reports its findings, with their remedies', () => {
    const outcomes = [{ name: 'NATS', verdict: 'failed', text: 'no answer', remedy: 'docs/install.md' }] as const;
    expect(examineProbe({ kind: 'done', outcomes })).toEqual([
      { check: 'probe NATS', verdict: 'failed', message: 'no answer', remedy: 'docs/install.md' },
    ]);
  });
});
