import { parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideEvent } from './decide.ts';

const UID = 'f0a6a3c2-0000-4000-8000-000000000042';

interface Stored {
  spec?: Record<string, unknown>;
  status?: { observedRetry?: string; conditions?: object[] };
  deleting?: boolean;
}

const stored = ({ spec = {}, status = {}, deleting = false }: Stored = {}) =>
  parseEdgeMigration({
    metadata: {
      namespace: 'customers',
      name: 'project-42',
      uid: UID,
      resourceVersion: '7',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(deleting ? { deletionTimestamp: '2026-01-02T00:00:00Z' } : {}),
    },
    spec: { projectId: 42, ...spec },
    status,
  });

const condition = (type: string, status: string, reason: string) => ({
  type,
  status,
  reason,
  message: reason,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
const FAILED = { conditions: [condition('Copied', 'False', 'RangesFailed')] };
const SUCCEEDED = { conditions: [condition('Succeeded', 'True', 'WindowClosed')] };

const decideOn = (migration: Stored | undefined, eventId = 'event-1') =>
  decideEvent(
    { projectId: 42, project: 'found', migration: migration === undefined ? undefined : stored(migration) },
    eventId,
  );

describe('the decision about an event', () => {
  it('creates the EdgeMigration of a project without one', () => {
    expect(decideOn(undefined)).toEqual({ kind: 'create' });
  });

  it.each([
    ['missing', 'project 42 is not in Core: nothing was done'],
    ['deleted', 'project 42 was deleted in Core: nothing was done'],
  ] as const)('refuses a project that is %s, regardless of its EdgeMigration', (project, message) => {
    for (const migration of [undefined, stored(), stored({ status: FAILED })]) {
      const refused = { kind: 'refuse', code: 'InvalidArgument', message };
      expect(decideEvent({ projectId: 42, project, migration }, 'event-1')).toEqual(refused);
    }
  });

  it('turns a plan into a migration, even one that has succeeded', () => {
    const planned = { conditions: [condition('Succeeded', 'True', 'Planned')] };
    for (const status of [{}, planned]) {
      expect(decideOn({ spec: { mode: 'Plan' }, status })).toEqual({ kind: 'start', uid: UID });
    }
    expect(decideOn({ status: planned })).toMatchObject({ kind: 'leave', state: 'UnderWay' });
  });

  it('leaves a migration that has succeeded unchanged, and says so', () => {
    const message = 'EdgeMigration customers/project-42 has succeeded already';
    expect(decideOn({ status: SUCCEEDED })).toEqual({ kind: 'leave', state: 'Succeeded', message });
  });

  it('retries a failed migration at once', () => {
    expect(decideOn({ status: FAILED })).toMatchObject({ kind: 'retry', uid: UID });
    const forGood = { conditions: [condition('Succeeded', 'False', 'ProjectDeleted')] };
    expect(decideOn({ status: forGood })).toMatchObject({ kind: 'retry', uid: UID });
  });

  it('requests one retry for each event, however often it is delivered', () => {
    const token = (eventId: string) => (decideOn({ status: FAILED }, eventId) as { token: string }).token;
    expect(token('one')).toBe(token('one'));
    expect(token('one')).not.toBe(token('two'));
  });

  it('does not replace a token that the operator has not taken yet', () => {
    const waiting = { spec: { retry: 'drop-1' }, status: FAILED };
    expect(decideOn(waiting)).toMatchObject({ kind: 'leave', state: 'UnderWay' });
    const taken = { spec: { retry: 'drop-1' }, status: { ...FAILED, observedRetry: 'drop-1' } };
    expect(decideOn(taken)).toMatchObject({ kind: 'retry' });
  });

  it('leaves a running or suspended migration unchanged', () => {
    expect(decideOn({})).toMatchObject({ kind: 'leave', state: 'UnderWay' });
    expect(decideOn({ spec: { suspend: true } })).toMatchObject({ kind: 'leave', state: 'Suspended' });
  });

  it('refuses a project that another EdgeMigration has, and names the obstacle of its own one', () => {
    const accepted = (reason: string) => ({ status: { conditions: [condition('Accepted', 'False', reason)] } });
    expect(decideOn(accepted('Duplicate'))).toMatchObject({ kind: 'refuse', code: 'InvalidArgument' });
    const message = 'EdgeMigration customers/project-42 exists, and waits: CoreUnreachable';
    expect(decideOn(accepted('CoreUnreachable'))).toEqual({ kind: 'leave', state: 'UnderWay', message });
  });

  it('asks for a retry of the event while the EdgeMigration is being deleted', () => {
    expect(decideOn({ deleting: true })).toMatchObject({ kind: 'refuse', code: 'InternalFailure' });
  });

  it('refuses the event if the stored spec is invalid', () => {
    expect(decideOn({ spec: { mode: 'Move' } })).toMatchObject({ kind: 'refuse', code: 'InvalidArgument' });
  });

  it('never chooses a token that is invalid or has another meaning, for any id of an event', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (eventId) => {
        const { token } = decideOn({ status: FAILED }, eventId) as { token: string };
        const { spec } = stored({ spec: { retry: token } });
        expect(spec?.retry).toMatch(/^trigger-/);
      }),
      { numRuns: 200 },
    );
  });
});
