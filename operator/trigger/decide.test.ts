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

describe('an event', () => {
  it('creates the EdgeMigration of a project that has none', () => {
    expect(decideOn(undefined)).toEqual({ kind: 'create' });
  });

  it.each([
    ['missing', 'project 42 is not in Core: nothing was done'],
    ['deleted', 'project 42 was deleted in Core: nothing was done'],
  ] as const)('for a project that is %s is refused, whatever EdgeMigration there is', (project, message) => {
    for (const migration of [undefined, stored(), stored({ status: FAILED })]) {
      const refused = { kind: 'refuse', code: 'InvalidArgument', message };
      expect(decideEvent({ projectId: 42, project, migration }, 'event-1')).toEqual(refused);
    }
  });

  it('makes a migration of a plan, also of one that has succeeded', () => {
    const planned = { conditions: [condition('Succeeded', 'True', 'Planned')] };
    for (const status of [{}, planned]) {
      expect(decideOn({ spec: { mode: 'Plan' }, status })).toEqual({ kind: 'start', uid: UID });
    }
    expect(decideOn({ status: planned })).toMatchObject({ kind: 'leave', state: 'UnderWay' });
  });

  it('leaves what has succeeded, and says so', () => {
    const message = 'EdgeMigration customers/project-42 has succeeded already';
    expect(decideOn({ status: SUCCEEDED })).toEqual({ kind: 'leave', state: 'Succeeded', message });
  });

  it('tries again at once what has failed', () => {
    expect(decideOn({ status: FAILED })).toMatchObject({ kind: 'retry', uid: UID });
    const forGood = { conditions: [condition('Succeeded', 'False', 'ProjectDeleted')] };
    expect(decideOn({ status: forGood })).toMatchObject({ kind: 'retry', uid: UID });
  });

  it('asks for another try once for each event, however often that is delivered', () => {
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

  it('leaves what is under way or suspended', () => {
    expect(decideOn({})).toMatchObject({ kind: 'leave', state: 'UnderWay' });
    expect(decideOn({ spec: { suspend: true } })).toMatchObject({ kind: 'leave', state: 'Suspended' });
  });

  it('is refused where another EdgeMigration has the project, and told what its own one waits for', () => {
    const accepted = (reason: string) => ({ status: { conditions: [condition('Accepted', 'False', reason)] } });
    expect(decideOn(accepted('Duplicate'))).toMatchObject({ kind: 'refuse', code: 'InvalidArgument' });
    const message = 'EdgeMigration customers/project-42 is there, and waits: CoreUnreachable';
    expect(decideOn(accepted('CoreUnreachable'))).toEqual({ kind: 'leave', state: 'UnderWay', message });
  });

  it('is to come again while the EdgeMigration is being deleted', () => {
    expect(decideOn({ deleting: true })).toMatchObject({ kind: 'refuse', code: 'InternalFailure' });
  });

  it('is refused where the spec that is stored is not valid', () => {
    expect(decideOn({ spec: { mode: 'Move' } })).toMatchObject({ kind: 'refuse', code: 'InvalidArgument' });
  });

  it('names no token that an EdgeMigration could not have, or that means something else, whatever its id is', () => {
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
