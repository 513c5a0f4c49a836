import { describe, expect, test } from 'vitest';
import { DEFAULT_CONTAINER, parseCoreApiPod, parsePod } from './pods.ts';

const CREATED = '2026-05-04T12:00:00Z';
const STARTED = '2026-05-04T12:00:02Z';
const LATER = '2026-05-04T12:01:00Z';

function pod(status: Record<string, unknown>, spec: Record<string, unknown> = {}, changes: object = {}) {
  const annotations = { [DEFAULT_CONTAINER]: 'worker' };
  const metadata = {
    name: 'pod-1',
    namespace: 'ours',
    uid: 'uid-1',
    creationTimestamp: CREATED,
    annotations,
    ...changes,
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec, status };
}

const ready = (status: string, reason?: string) => ({ type: 'Ready', status, reason, lastTransitionTime: LATER });
const container = (name: string, state: object) => ({ name, state });
const waiting = (reason: string, message: string) => ({ waiting: { reason, message } });
const ended = (exitCode: number, message?: string) => ({ terminated: { exitCode, message, finishedAt: LATER } });
const RUNNING = { running: { startedAt: STARTED } };

describe('a pod of the Core API', () => {
  test('counts as running while it fails its readiness, because its node accepted it', () => {
    const read = parseCoreApiPod(pod({ phase: 'Running', startTime: STARTED, conditions: [ready('False')] }));
    expect(read).toEqual({ uid: 'uid-1', name: 'pod-1', ready: false, runningTime: STARTED });
  });

  test('counts as running while its node is lost', () => {
    expect(parseCoreApiPod(pod({ phase: 'Unknown' }))).toMatchObject({ ready: false, runningTime: CREATED });
  });

  test.each(['Pending', 'Succeeded', 'Failed'])('does not run in phase %s', (phase) => {
    expect(parseCoreApiPod(pod({ phase, startTime: STARTED })).runningTime).toBeUndefined();
  });
});

describe('the problem of a worker’s pod is reported', () => {
  const sidecars = { initContainers: [{ name: 'proxy', restartPolicy: 'Always' }, { name: 'prepare' }] };
  const problems: [string, ReturnType<typeof pod>, string, RegExp][] = [
    [
      'no node has room for it',
      pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes fit' }] }),
      'PodUnschedulable',
      /^0\/3 nodes fit$/,
    ],
    [
      'its image cannot be pulled',
      pod({ phase: 'Pending', containerStatuses: [container('worker', waiting('ImagePullBackOff', 'not found'))] }),
      'PodNotStarting',
      /^container worker: ImagePullBackOff not found$/,
    ],
    [
      'a key of a Secret is missing',
      pod({
        phase: 'Pending',
        containerStatuses: [container('worker', waiting('CreateContainerConfigError', 'no key url in Secret core'))],
      }),
      'PodNotStarting',
      /no key url in Secret core/,
    ],
    [
      'the image of an init container cannot be pulled',
      pod({
        phase: 'Pending',
        initContainerStatuses: [container('prepare', waiting('ErrImagePull', 'denied'))],
        containerStatuses: [container('worker', waiting('PodInitializing', ''))],
      }),
      'PodNotStarting',
      /^container prepare: ErrImagePull denied$/,
    ],
    [
      'an init container failed',
      pod({ phase: 'Pending', initContainerStatuses: [container('prepare', ended(1, 'no certificate'))] }, sidecars),
      'PodFailed',
      /^no certificate$/,
    ],
    [
      'a sidecar cannot start',
      pod(
        { phase: 'Pending', initContainerStatuses: [container('proxy', waiting('CrashLoopBackOff', 'again'))] },
        sidecars,
      ),
      'PodNotStarting',
      /^container proxy: CrashLoopBackOff again$/,
    ],
    [
      'its worker failed',
      pod({ phase: 'Failed', containerStatuses: [container('worker', ended(1, 'no route to the database'))] }),
      'PodFailed',
      /^no route to the database$/,
    ],
    [
      'its worker was killed, and its last words are the end of its log',
      pod({
        phase: 'Failed',
        containerStatuses: [
          container('worker', ended(137, '{"level":30,"identifier":"user","msg":"working on a range"}')),
        ],
      }),
      'PodFailed',
      /^Error, exit code 137 \(SIGKILL\); it last said: working on a range$/,
    ],
    [
      'it was evicted',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on memory' }),
      'PodFailed',
      /low on memory/,
    ],
    [
      'its node does not answer',
      pod(
        {
          phase: 'Running',
          conditions: [ready('False'), { type: 'ContainersReady', status: 'True' }],
          containerStatuses: [container('worker', RUNNING)],
        },
        { nodeName: 'node-7' },
      ),
      'NodeLost',
      /node node-7 does not answer/,
    ],
  ];
  test.each(problems)('when %s', (_, object, reason, message) => {
    expect(parsePod(object).fact.problem).toMatchObject({
      pod: 'pod-1',
      reason,
      message: expect.stringMatching(message),
    });
  });

  const healthy: [string, ReturnType<typeof pod>][] = [
    ['starts', pod({ phase: 'Pending', containerStatuses: [container('worker', waiting('ContainerCreating', ''))] })],
    [
      'is not ready by a readiness gate',
      pod({
        phase: 'Running',
        conditions: [ready('False', 'ReadinessGatesNotReady'), { type: 'ContainersReady', status: 'True' }],
      }),
    ],
    [
      'ended well, and its sidecar was stopped then',
      pod({ phase: 'Succeeded', initContainerStatuses: [container('proxy', ended(143))] }, sidecars),
    ],
    [
      'has a sidecar that is restarted',
      pod({ phase: 'Running', initContainerStatuses: [container('proxy', ended(1))] }, sidecars),
    ],
  ];
  test.each(healthy)('as none for a pod that %s', (_, object) => {
    expect(parsePod(object).fact.problem).toBeUndefined();
  });
});

describe('a pod whose worker has ended', () => {
  test('lives on through an injected container, even where that stands first', () => {
    const status = {
      phase: 'Running',
      containerStatuses: [container('istio-proxy', RUNNING), container('worker', ended(0))],
    };
    expect(parsePod(pod(status)).fact).toMatchObject({ live: true, workerEnded: true, running: ['istio-proxy'] });
  });

  test('differs from a pod whose injected container has ended before its worker', () => {
    const status = {
      phase: 'Running',
      containerStatuses: [container('istio-proxy', ended(0)), container('worker', RUNNING)],
    };
    expect(parsePod(pod(status)).fact).toMatchObject({ live: true, workerEnded: false, running: ['worker'] });
  });

  test('should be gone by the time that the API server gives if it was deleted', () => {
    const object = pod({ phase: 'Running' }, {}, { deletionTimestamp: LATER });
    expect(parsePod(object).fact.goneBy).toBe(Date.parse(LATER));
  });
});
