import { describe, expect, test } from 'vitest';
import { objectNames, parseEdgeMigration } from './api.ts';

const metadata = {
  namespace: 'customers',
  name: 'project-42',
  uid: '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d',
  resourceVersion: '17',
  generation: 3,
  creationTimestamp: '2026-05-04T12:00:00Z',
};

describe('an EdgeMigration as the API server sends it', () => {
  test('an EdgeMigration may have no status yet', () => {
    expect(parseEdgeMigration({ metadata, spec: { projectId: 42 } })).toMatchObject({ generation: 3, status: {} });
  });

  test('an EdgeMigration gets the defaults of fields that did not exist when it was stored', () => {
    const { spec } = parseEdgeMigration({ metadata, spec: { projectId: 42 }, status: {} });
    expect(spec).toMatchObject({ mode: 'Migrate', copy: { parallelism: 4 }, replay: { windowSeconds: 2_419_200 } });
  });

  test('an EdgeMigration with an invalid spec names the field, instead of being lost', () => {
    const parsed = parseEdgeMigration({ metadata, spec: { projectId: 42, copy: { parallelism: 0 } } });
    expect(parsed.spec).toBeUndefined();
    expect(parsed.specProblem).toContain('spec.copy.parallelism');
    expect(parseEdgeMigration({ metadata }).specProblem).toContain('spec');
  });

  test.each(['a..b', '.a', 'a.', 'a b', 'a.*', '>', 'a\n', '', 'x'.repeat(64)])(
    'an EdgeMigration with spec.retry %j, which a NATS subject cannot hold, is refused',
    (retry) => {
      const parsed = parseEdgeMigration({ metadata, spec: { projectId: 42, retry } });
      expect(parsed.spec).toBeUndefined();
      expect(parsed.specProblem).toContain('spec.retry');
    },
  );

  test.each(['a', 'v1.2', 'after-incident_17.b', '2026-11-28', 'a__b--c'])('spec.retry %s is accepted', (retry) => {
    expect(parseEdgeMigration({ metadata, spec: { projectId: 42, retry } }).spec?.retry).toBe(retry);
  });

  test('an EdgeMigration with a partly damaged status is read without the damaged part', () => {
    const status = { conditions: 'none', phase: 'Copying', plan: { writeUnits: 7 } };
    const parsed = parseEdgeMigration({ metadata, spec: { projectId: 42 }, status });
    expect(parsed.status).toEqual({ phase: 'Copying', plan: { writeUnits: 7 } });
    expect(parseEdgeMigration({ metadata, spec: { projectId: 42 }, status: 'none' }).status).toEqual({});
  });

  test("a status longer than this release's limits is read completely", () => {
    const status = {
      phase: 'x'.repeat(33),
      conditions: Array.from({ length: 17 }, (_, index) => ({
        type: `Type${index}`,
        status: 'True',
        reason: 'x'.repeat(129),
        message: 'x'.repeat(1025),
        lastTransitionTime: '2026-05-04T12:00:00Z',
      })),
      audit: { reportName: 'x'.repeat(254), milestone: 'Copied' },
    };
    expect(parseEdgeMigration({ metadata, spec: { projectId: 42 }, status }).status).toEqual(status);
  });

  test('a status may lack lists that were written empty, because the API server stores none', () => {
    const parsed = parseEdgeMigration({ metadata, spec: { projectId: 42 }, status: { skipped: { total: 0 } } });
    expect(parsed.status.skipped).toEqual({ total: 0, byReason: [] });
  });
});

test('object names stay within the limits of Kubernetes for pods of a Job', () => {
  const names = objectNames({ name: 'project-2147483647', uid: metadata.uid }, 'copy');
  // A Job's name plus `-<index>-<5 characters>` must be a DNS label for the pods' host names.
  expect(`${names.job(9999)}-99999-abcde`.length).toBeLessThanOrEqual(63);
});
