import { parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { LeadershipLostError, responseError } from '@edge-migration/kubernetes/errors.ts';
import { describe, expect, it } from 'vitest';
import { degrade } from './failure.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const idle = new AbortController().signal;
const refused = responseError('create jobs edge/project-1-copy-1', 403, {
  kind: 'Status',
  reason: 'Forbidden',
  message: 'exceeded quota',
});

function migrationWith(degraded: { status: 'True' | 'False'; reason: string; message: string }) {
  const time = '2026-11-22T11:00:00Z';
  return parseEdgeMigration({
    metadata: {
      namespace: 'n',
      name: 'project-1',
      uid: 'u',
      resourceVersion: '1',
      generation: 4,
      creationTimestamp: time,
    },
    spec: { projectId: 1 },
    status: {
      observedGeneration: 3,
      phase: 'Settling',
      conditions: [
        { type: 'Copied', status: 'False', reason: 'Settling', message: '', lastTransitionTime: time },
        { type: 'Degraded', ...degraded, lastTransitionTime: time },
      ],
    },
  });
}

describe('an action that failed', () => {
  it('is reported in Degraded, and nothing else is reported as done', () => {
    const before = migrationWith({ status: 'False', reason: 'AsExpected', message: '' });
    expect(degrade(before, refused, idle, NOW)).toMatchObject({
      observedGeneration: 4,
      phase: 'Settling',
      message: 'create jobs edge/project-1-copy-1: Forbidden (403): exceeded quota',
      conditions: [
        before.status.conditions?.[0],
        { status: 'True', reason: 'KubernetesForbidden', lastTransitionTime: '2026-11-22T12:00:00Z' },
      ],
    });
  });

  it('gives the same status when it fails again, so that nothing is written', () => {
    const first = degrade(migrationWith({ status: 'False', reason: 'AsExpected', message: '' }), refused, idle, NOW);
    const before = { ...migrationWith({ status: 'False', reason: '', message: '' }), status: first ?? {} };
    expect(degrade(before, refused, idle, NOW + 60_000)).toEqual(first);
  });

  it('is not reported when another replica leads, the object has changed or the process stops', () => {
    const migration = migrationWith({ status: 'False', reason: 'AsExpected', message: '' });
    const conflict = responseError('apply edgemigrations/status', 409, {});
    expect(degrade(migration, new LeadershipLostError('gone'), idle, NOW)).toBeUndefined();
    expect(degrade(migration, conflict, idle, NOW)).toBeUndefined();
    expect(degrade(migration, refused, AbortSignal.abort(), NOW)).toBeUndefined();
  });
});
