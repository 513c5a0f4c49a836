import type { Condition, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { migration as build } from '@edge-migration/operator/edge-migration/testing/facts.ts';
import type { InstallationReport } from '@edge-migration/operator/installation/report.ts';
import { describe, expect, test } from 'vitest';
import { type CheckupFacts, examine, examineMigration } from './checkup.ts';
import { renderCheckup } from './render/checkup.ts';

const NOW = Date.parse('2026-05-04T12:00:00Z');

const healthy: CheckupFacts = {
  release: '0.1.0',
  server: { kind: 'found', version: 'v1.34.1', ahead: 300 },
  now: NOW,
  installation: { kind: 'missing' },
  probe: undefined,
  definition: {
    kind: 'found',
    established: true,
    served: true,
    specFields: ['projectId', 'mode', 'suspend', 'retry', 'copy', 'replay', 'verify'],
  },
  rights: [{ verb: 'get', resource: 'pods/log', namespace: 'edge-migration', need: 'read logs', allowed: true }],
  operator: { kind: 'found', pods: [{ name: 'operator-0', ready: true }] },
  operatorNamespace: 'edge-migration',
  migrations: [],
};

const verdicts = (changes: Partial<CheckupFacts>) =>
  examine({ ...healthy, ...changes }).map(({ check, verdict }) => `${check} ${verdict}`);

describe('an installation', () => {
  test('a healthy installation has one line per check, all ok', () => {
    const report: InstallationReport = {
      version: 1,
      time: '2026-05-04T11:59:30Z',
      release: '0.1.0',
      instance: 'operator-0',
      checkedTime: '2026-05-04T11:58:30Z',
      checks: ['Postgres', 'DynamoDB'].map((name) => ({ name, verdict: 'ok', text: 'it answers' })),
      coverage: { state: 'covered', message: 'all 2 Core API instances have a live sidecar' },
      coreApiPods: { total: 0, listed: [] },
      appliers: { total: 1, listed: [{ instance: 'applier-0', applying: true, outage: null, release: '0.1.0' }] },
      wrongClocks: { total: 0, listed: [] },
      clocks: 3,
    };
    expect(verdicts({ installation: { kind: 'found', report, savedTime: NOW } })).toEqual([
      'Kubernetes ok',
      'definition ok',
      'rights ok',
      'operator ok',
      'installation ok',
      'Postgres ok',
      'DynamoDB ok',
      'coverage ok',
      'appliers ok',
      'process clocks ok',
      'versions ok',
      'migrations ok',
    ]);
  });

  test('a Kubernetes that is too old fails the check, and a wrong clock of this machine is named', () => {
    const server = { kind: 'found', version: 'v1.31.4', ahead: -3_600_000 } as const;
    const [version, clock] = examine({ ...healthy, server });
    expect(version).toMatchObject({ verdict: 'failed', message: 'the API server is v1.31.4' });
    expect(clock).toMatchObject({ verdict: 'warning', message: "this machine's clock is 1h behind the API server's" });
  });

  test('an installation without the definition, or with one that is not served, fails the check', () => {
    expect(verdicts({ definition: { kind: 'missing' } })).toContain('definition failed');
    const established = { ...healthy.definition, established: false } as CheckupFacts['definition'];
    expect(verdicts({ definition: established })).toContain('definition failed');
  });

  test('a definition that lacks fields set by this program causes a warning', () => {
    const older = { ...healthy.definition, specFields: ['projectId', 'mode'] } as CheckupFacts['definition'];
    expect(examine({ ...healthy, definition: older })[1]).toMatchObject({
      verdict: 'warning',
      message: expect.stringContaining('spec.suspend'),
    });
  });

  test('an installation without operator pods, or without a ready one, fails the check', () => {
    expect(verdicts({ operator: { kind: 'found', pods: [] } })).toContain('operator failed');
    expect(verdicts({ operator: { kind: 'found', pods: [{ name: 'a', ready: false }] } })).toContain('operator failed');
  });

  test('facts that the program may not read are reported as unknown, not as healthy', () => {
    const operator = { kind: 'unreadable', problem: 'Forbidden' } as const;
    const definition = { kind: 'unreadable', problem: 'Forbidden' } as const;
    const server = { kind: 'unreadable', problem: 'Forbidden' } as const;
    const installation = { kind: 'unreadable', problem: 'Forbidden' } as const;
    expect(verdicts({ server, operator, definition, installation, migrations: undefined })).toEqual([
      'Kubernetes unknown',
      'definition unknown',
      'rights ok',
      'operator unknown',
      'installation unknown',
      'migrations unknown',
    ]);
  });

  test('each missing right is named, with what cannot be done without it', () => {
    const rights = healthy.rights.map((right) => ({ ...right, allowed: false }));
    const text = renderCheckup(examine({ ...healthy, rights }), (_, plain) => plain);
    expect(text).toContain('WARNING  rights: you may not get pods/log in namespace edge-migration\n');
    expect(text).toContain('         -> it is needed to read logs: ask for a Role that allows it\n');
  });
});

describe('a migration', () => {
  const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
    type,
    status,
    reason,
    message: 'its message',
    lastTransitionTime: '2026-05-04T11:00:00Z',
  });
  const found = (conditions: Condition[], status: Status = {}) =>
    examineMigration(build({ status: { observedGeneration: 1, conditions, ...status } })).map(
      ({ verdict, message }) => `${verdict} ${message}`,
    );

  test('a migration that goes as expected has no finding', () => {
    const conditions = [
      condition('Accepted', 'True', 'Accepted'),
      condition('Capturing', 'True', 'Covered'),
      condition('Copied', 'False', 'Copying'),
      condition('Replaying', 'False', 'NotReplaying'),
      condition('Degraded', 'False', 'AsExpected'),
      condition('Succeeded', 'Unknown', 'Active'),
    ];
    expect(found(conditions)).toEqual([]);
  });

  test.each<[Condition, string]>([
    [condition('Accepted', 'False', 'ProjectNotFound'), 'failed Accepted=False/ProjectNotFound: its message'],
    [condition('Degraded', 'True', 'ClockSkew'), 'failed Degraded=True/ClockSkew: its message'],
    [condition('Capturing', 'False', 'SidecarMissing'), 'failed Capturing=False/SidecarMissing: its message'],
    [condition('Copied', 'False', 'RangesFailed'), 'failed Copied=False/RangesFailed: its message'],
    [condition('Replaying', 'False', 'NoApplier'), 'failed Replaying=False/NoApplier: its message'],
    [condition('Verified', 'False', 'DifferencesFound'), 'warning Verified=False/DifferencesFound: its message'],
    [condition('Succeeded', 'False', 'ProjectDeleted'), 'failed Succeeded=False/ProjectDeleted: its message'],
  ])('a migration with the condition %o has a finding', (one, line) => {
    expect(found([one])).toEqual([line]);
  });

  test('a finished migration, or a plan, needs no capture', () => {
    const uncovered = condition('Capturing', 'False', 'NoCoreApi');
    expect(found([uncovered, condition('Succeeded', 'True', 'WindowClosed')])).toEqual([]);
    const status: Status = { observedGeneration: 1, conditions: [uncovered] };
    expect(examineMigration(build({ status }, { mode: 'Plan' }))).toEqual([]);
  });

  test('a migration that is missing writes now has failed; past gaps are left to its conditions', () => {
    const gaps = [
      { from: '2026-05-04T10:00:00Z', until: '2026-05-04T10:05:00Z', reason: 'noSidecar' },
      { from: '2026-05-04T11:00:00Z', reason: 'sidecarVanished', podName: 'api-0' },
    ];
    expect(found([], { gaps })).toEqual([
      'failed writes to Core are being missed since 2026-05-04T11:00:00Z (sidecarVanished, pod api-0)',
    ]);
  });

  test('a migration with an unobserved change is not judged by the conditions of an older spec', () => {
    const status: Status = { observedGeneration: 1, conditions: [condition('Degraded', 'True', 'ClockSkew')] };
    expect(examineMigration(build({ generation: 2, status }))).toMatchObject([{ verdict: 'warning' }]);
  });
});
