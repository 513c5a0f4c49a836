import { describe, expect, test } from 'vitest';
import { parseCoreApiPod } from './parse.ts';

const CREATED = '2026-05-04T12:00:00Z';
const STARTED = '2026-05-04T12:00:02Z';

function pod(status: Record<string, unknown>) {
  const metadata = { name: 'api-1', namespace: 'flagsmith', uid: 'uid-1', creationTimestamp: CREATED };
  return { apiVersion: 'v1', kind: 'Pod', metadata, status };
}

const ready = (status: string) => [{ type: 'Ready', status, lastTransitionTime: '2026-05-04T12:01:00Z' }];

describe('a pod of the Core API', () => {
  test('that fails its readiness runs all the same, since its node took it', () => {
    const read = parseCoreApiPod(pod({ phase: 'Running', startTime: STARTED, conditions: ready('False') }));
    expect(read).toEqual({ uid: 'uid-1', name: 'api-1', ready: false, runningTime: STARTED });
  });

  test('on a node that is lost may run on', () => {
    expect(parseCoreApiPod(pod({ phase: 'Unknown' }))).toMatchObject({ ready: false, runningTime: CREATED });
  });

  test.each(['Pending', 'Succeeded', 'Failed'])('does not run in phase %s', (phase) => {
    expect(parseCoreApiPod(pod({ phase, startTime: STARTED })).runningTime).toBeUndefined();
  });
});
