import { expect, test } from 'vitest';
import { decide } from '../decide.ts';
import { parseCoreApiPod } from '../pods.ts';
import { condition, edgeReady, job, twoRanges, visitedFacts, work } from '../testing/facts.ts';
import type { ReadinessFact } from './facts.ts';

const degraded = (readiness: ReadinessFact, forwardingPod: string | undefined) => {
  const copying = work({ ranges: twoRanges, jobs: [job()] });
  const { status } = decide(visitedFacts({ readiness, forwardingPod, work: copying }));
  const { message = '' } = status.conditions?.find(({ type }) => type === 'Degraded') ?? {};
  return { condition: condition(status, 'Degraded'), message };
};

test("a Core that forwards the project's requests to Edge is Degraded, with the name of the pod", () => {
  const found = degraded(edgeReady(), 'api-1');
  expect(found.condition).toBe('True/CoreForwards');
  expect(found.message).toMatch(/pod api-1 .* EDGE_API_URL/);
});

test("a Core that knows Edge's address forwards nothing for a project that is not switched on", () => {
  expect(degraded(edgeReady({ enabled: false }), 'api-1').condition).toBe('False/AsExpected');
});

test("a Core that does not know Edge's address forwards nothing", () => {
  expect(degraded(edgeReady(), undefined).condition).toBe('False/AsExpected');
});

test.for<[string, object[], boolean]>([
  ['has a value', [{ name: 'EDGE_API_URL', value: 'https://edge.example/api/v1/' }], true],
  ['comes from a Secret', [{ name: 'EDGE_API_URL', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }], true],
  ['is empty', [{ name: 'EDGE_API_URL', value: '' }], false],
  ['is missing', [{ name: 'OTHER' }], false],
])('a pod knows the address of Edge only if EDGE_API_URL is set: it %s', ([, env, expected]) => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'api-1',
      namespace: 'flagsmith',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-05-04T12:00:00Z',
    },
    spec: { containers: [{ name: 'proxy' }, { name: 'api', env }] },
    status: { phase: 'Running' },
  };
  expect(parseCoreApiPod(pod).knowsEdge ?? false).toBe(expected);
});
