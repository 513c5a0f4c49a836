import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { waitFor } from '../wait.ts';
import { hasEnded, hasPhase, isReady, type PodCluster, shell, sidecar, startPodCluster } from './testing/pods.ts';

// A busy machine needs more time.
vi.setConfig({ testTimeout: 600_000 });

let pods: PodCluster;
beforeAll(async () => {
  pods = await startPodCluster();
});
afterAll(() => pods[Symbol.asyncDispose]());

describe('Jobs on the simulated node', () => {
  test('an Indexed Job retries each failing index separately and reports the one that failed for good', async () => {
    // Index 1 always fails, index 2 fails on its first attempt only.
    const script = 'case $JOB_COMPLETION_INDEX/$FAILURES in 1/*|2/0) exit 3;; esac';
    const fieldPath = "metadata.annotations['batch.kubernetes.io/job-index-failure-count']";
    const env = [{ name: 'FAILURES', valueFrom: { fieldRef: { fieldPath } } }];
    await pods.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'indexed' },
      spec: {
        completions: 3,
        parallelism: 3,
        completionMode: 'Indexed',
        backoffLimitPerIndex: 1,
        podReplacementPolicy: 'Failed',
        template: { spec: { restartPolicy: 'Never', containers: [shell(script, { env })] } },
      },
    });
    await pods.cluster.kubectl(['wait', 'job/indexed', '--for=condition=Failed', '--timeout=240s']);
    const job = JSON.parse(await pods.cluster.kubectl(['get', 'job', 'indexed', '-o', 'json'])).status;
    expect(job).toMatchObject({ completedIndexes: '0,2', failedIndexes: '1', succeeded: 2, failed: 3 });
  });
});

describe('the order of containers in a pod', () => {
  const volumes = [{ name: 'journal', emptyDir: {} }];
  /** The file that all containers of the pod write to. */
  const journal = {
    env: [{ name: 'JOURNAL', value: '/journal/file' }],
    volumeMounts: [{ name: 'journal', mountPath: '/journal' }],
  };
  const record = (word: string) => `echo ${word} >>"$JOURNAL"`;
  const untilTerm = (word: string, onTerm = '') =>
    `trap '${onTerm}${record(`${word}-ends`)}; cat "$JOURNAL"; exit 0' TERM; ${record(word)}; while :; do sleep 0.02; done`;
  /** It has not started before it has written its name, and is ready for SIGTERM. */
  const started = (name: string) => ({
    ...journal,
    startupProbe: {
      exec: { command: ['grep', '-q', name, '/journal/file'] },
      ...{ periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 120 },
    },
  });
  const startedSidecar = (name: string) => sidecar(name, untilTerm(name), started(name));

  test('init containers start in order, a sidecar before its successors; the sidecars stop last, in reverse', async () => {
    await pods.createPod('ordered', {
      restartPolicy: 'Never',
      volumes,
      initContainers: [
        startedSidecar('first'),
        shell(record('step'), { name: 'step', ...journal }),
        startedSidecar('second'),
      ],
      containers: [shell(`${record('main')}; sleep 0.2; ${record('main-ends')}`, journal)],
    });
    const status = await pods.podThat('ordered', hasEnded);
    const order = ['first', 'step', 'second', 'main', 'main-ends', 'second-ends', 'first-ends', ''];
    expect(await pods.logs('ordered', 'first')).toBe(order.join('\n'));
    expect(status.phase).toBe('Succeeded');
    expect(status.initContainerStatuses.map(({ name, state }) => [name, state.terminated?.exitCode])).toEqual([
      ['first', 0],
      ['step', 0],
      ['second', 0],
    ]);
  });

  test('on deletion the main containers stop first, then the sidecars in reverse order', async () => {
    await pods.createPod('deleted', {
      volumes,
      initContainers: [startedSidecar('first'), startedSidecar('second')],
      containers: [shell(untilTerm('main', 'sleep 0.3; '), started('main'))],
    });
    await pods.podThat('deleted', isReady);
    await pods.deletePod('deleted');
    const order = ['first', 'second', 'main', 'main-ends', 'second-ends', 'first-ends', ''];
    expect(await pods.logs('deleted', 'first')).toBe(order.join('\n'));
  });

  test('a container that ignores SIGTERM is killed after the grace period', async () => {
    await pods.createPod('stubborn', {
      terminationGracePeriodSeconds: 1,
      containers: [shell("trap '' TERM; echo up; while :; do sleep 0.05; done")],
    });
    await pods.podThat('stubborn', isReady);
    await waitFor(async () => (await pods.logs('stubborn')) === 'up\n', { for: 'it to ignore SIGTERM' });
    await pods.deletePod('stubborn');
    expect(await pods.logs('stubborn')).toBe('up\n');
  });

  test('a failed init container fails the pod, and no later container starts', async () => {
    await pods.createPod('early-end', {
      restartPolicy: 'Never',
      initContainers: [shell('exit 4', { name: 'step' })],
      containers: [shell('true')],
    });
    const { phase, containerStatuses, initContainerStatuses } = await pods.podThat('early-end', hasEnded);
    expect(phase).toBe('Failed');
    expect(initContainerStatuses[0]?.state.terminated?.exitCode).toBe(4);
    expect(containerStatuses[0]?.state.waiting?.reason).toBe('PodInitializing');
  });
});

describe('the simulated node', () => {
  test('fails a pod whose spec has unsupported fields, and names them', async () => {
    await pods.createPod('unsupported', {
      restartPolicy: 'Never',
      volumes: [{ name: 'disk', hostPath: { path: '/' } }],
      containers: [shell('true', { lifecycle: { postStart: { exec: { command: ['true'] } } } })],
    });
    expect(await pods.podThat('unsupported', hasPhase('Failed'))).toMatchObject({
      reason: 'UnsupportedPodSpec',
      message: expect.stringMatching(/spec\.containers\[0\]\.lifecycle\.postStart.*spec\.volumes\[0\]\.hostPath/),
    });
  });

  test('does not run an image that is missing from its table', async () => {
    await pods.createPod('unknown-image', { containers: [shell('true', { image: 'elsewhere/thing:1' })] });
    const isRefused = ({ phase, containerStatuses: [main] }: Awaited<ReturnType<typeof pods.podStatus>>) =>
      phase === 'Pending' && main?.state.waiting?.reason === 'ErrImageNeverPull';
    await pods.podThat('unknown-image', isRefused);
    await pods.deletePod('unknown-image');
  });
});

describe('faults on the simulated node', () => {
  test('a killed process shows as a failed container with the exit code of its signal', async () => {
    await pods.createPod('victim', { restartPolicy: 'Never', containers: [shell('exec sleep 600')] });
    await pods.podThat('victim', isReady);
    pods.cluster.node.signal('default', 'victim', 'main', 'SIGKILL');
    const { containerStatuses } = await pods.podThat('victim', hasPhase('Failed'));
    expect(containerStatuses[0]?.state.terminated?.exitCode).toBe(137);
  });

  test('pods keep running while the API server is down, and their status arrives later', async () => {
    const untilSignalled = "trap 'echo done; exit 0' WINCH; echo up; while :; do sleep 0.05; done";
    await pods.createPod('onlooker', { restartPolicy: 'Never', containers: [shell(untilSignalled)] });
    await waitFor(async () => (await pods.logs('onlooker')) === 'up\n', { for: 'the container to run' });
    await pods.podThat('onlooker', isReady);
    await pods.cluster.apiserver.kill('SIGKILL');
    pods.cluster.node.signal('default', 'onlooker', 'main', 'SIGWINCH');
    await waitFor(async () => (await pods.logs('onlooker')) === 'up\ndone\n', { for: 'the end of the container' });
    await pods.cluster.apiserver.restart();
    await pods.podThat('onlooker', hasPhase('Succeeded'));
  });

  test('a node that disappears leaves its pods in their last reported state', async () => {
    await using other = await pods.cluster.addNode('other-node');
    await pods.createPod('stranded', { nodeName: 'other-node', containers: [shell('exec sleep 600')] });
    await pods.podThat('stranded', isReady);
    await other.disappear();
    expect((await pods.podStatus('stranded')).phase).toBe('Running');
    expect(() => other.signal('default', 'stranded', 'main', 'SIGTERM')).toThrow(/does not run/);
    await pods.cluster.kubectl(['delete', 'pod', 'stranded', '--force', '--grace-period=0', '--timeout=240s']);
  });
});
