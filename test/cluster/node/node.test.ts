import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { binary } from '../binaries.ts';
import { type Cluster, startCluster } from '../cluster.ts';
import { waitFor } from '../wait.ts';

// A busy machine takes its time.
vi.setConfig({ testTimeout: 90_000 });

let cluster: Cluster;
beforeAll(async () => {
  // A shell that runs its one argument.
  const images = { shell: { entrypoint: ['/bin/sh', '-c'], env: { FROM_IMAGE: 'yes' } } };
  cluster = await startCluster({ images, postgres: false, nats: false, dynamodb: false });
});
afterAll(() => cluster.stop());

const Terminated = z.object({ exitCode: z.number(), reason: z.string(), message: z.string().optional() });
const ContainerStatus = z.object({
  name: z.string(),
  ready: z.boolean(),
  restartCount: z.number(),
  state: z.object({ terminated: Terminated.optional(), waiting: z.object({ reason: z.string() }).optional() }),
  lastState: z.object({ terminated: Terminated.optional() }),
});
const PodStatus = z.object({
  phase: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  podIP: z.string().optional(),
  conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
  containerStatuses: z.array(ContainerStatus).default([]),
  initContainerStatuses: z.array(ContainerStatus).default([]),
});
type PodStatus = z.output<typeof PodStatus>;

const shell = (script: string, more: object = {}) => ({ name: 'main', image: 'shell', args: [script], ...more });
const sidecar = (name: string, script: string, more: object = {}) =>
  shell(script, { name, restartPolicy: 'Always', ...more });

async function createPod(name: string, spec: object, metadata: object = {}): Promise<void> {
  await apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec });
}

async function apply(manifest: object): Promise<void> {
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
}

async function podStatus(name: string): Promise<PodStatus> {
  return PodStatus.parse(JSON.parse(await cluster.kubectl(['get', 'pod', name, '-o', 'json'])).status);
}

/** The pod's status once `condition` holds for it. */
function podThat(name: string, condition: (status: PodStatus) => boolean): Promise<PodStatus> {
  return waitFor(
    async () => {
      const status = await podStatus(name);
      return condition(status) && status;
    },
    { for: `pod ${name}`, intervalMs: 100, timeoutMs: 60_000 },
  );
}

const hasPhase =
  (...phases: string[]) =>
  ({ phase }: PodStatus) =>
    phases.includes(phase);

const isReady = ({ conditions }: PodStatus) =>
  conditions.some(({ type, status }) => type === 'Ready' && status === 'True');

const logs = (pod: string, container = 'main') => cluster.node.logs('default', pod, container);

describe('Jobs', () => {
  test('an Indexed Job retries a failing index on its own and reports which one failed for good', async () => {
    // Index 1 always fails, index 2 fails on its first attempt only.
    const script = 'case $JOB_COMPLETION_INDEX/$FAILURES in 1/*|2/0) exit 3;; esac';
    const failures = {
      name: 'FAILURES',
      valueFrom: { fieldRef: { fieldPath: "metadata.annotations['batch.kubernetes.io/job-index-failure-count']" } },
    };
    await apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'indexed' },
      spec: {
        completions: 3,
        parallelism: 3,
        completionMode: 'Indexed',
        backoffLimitPerIndex: 1,
        podReplacementPolicy: 'Failed',
        template: { spec: { restartPolicy: 'Never', containers: [shell(script, { env: [failures] })] } },
      },
    });
    await cluster.kubectl(['wait', 'job/indexed', '--for=condition=Failed', '--timeout=60s']);
    const job = JSON.parse(await cluster.kubectl(['get', 'job', 'indexed', '-o', 'json'])).status;
    expect(job).toMatchObject({ completedIndexes: '0,2', failedIndexes: '1', succeeded: 2, failed: 3 });
  });
});

describe('the order of containers', () => {
  const record = (word: string) => `echo ${word} >>"$JOURNAL"`;
  const journal = {
    env: [{ name: 'JOURNAL', value: '/journal/file' }],
    volumeMounts: [{ name: 'journal', mountPath: '/journal' }],
  };
  const volumes = [{ name: 'journal', emptyDir: {} }];
  const untilTerm = (word: string) =>
    `trap '${record(`${word}-ends`)}; exit 0' TERM; ${record(`${word}-starts`)}; while :; do sleep 0.05; done`;
  const started = { startupProbe: { exec: { command: ['grep', '-q', 'starts', '/journal/file'] }, periodSeconds: 1 } };

  test('init containers run in order, a sidecar before what follows it, and the sidecars end last in reverse', async () => {
    await createPod('ordered', {
      restartPolicy: 'Never',
      volumes,
      initContainers: [
        sidecar('first', untilTerm('first'), { ...journal, ...started }),
        shell(record('step'), { name: 'step', ...journal }),
        sidecar('second', untilTerm('second'), { ...journal, ...started }),
      ],
      containers: [shell(`${record('main')}; cat "$JOURNAL"; sleep 0.2; ${record('main-ends')}`, journal), keeper()],
    });
    const status = await podThat('ordered', hasPhase('Succeeded', 'Failed'));
    expect(status.phase).toBe('Succeeded');
    expect(await logs('ordered', 'keeper')).toBe('first-starts\nstep\nsecond-starts\nmain\nmain-ends\n');
    expect(status.initContainerStatuses.map(({ name, state }) => [name, state.terminated?.exitCode])).toEqual([
      ['first', 0],
      ['step', 0],
      ['second', 0],
    ]);
  });

  /** Prints the journal when the main container has ended. */
  function keeper() {
    const script = 'until grep -q main-ends "$JOURNAL"; do sleep 0.05; done; cat "$JOURNAL"';
    return shell(script, { name: 'keeper', ...journal });
  }

  test('on deletion the main containers end first, then the sidecars in reverse order', async () => {
    const say = (word: string) => `trap 'date +%s%N; exit 0' TERM; echo ${word} >&2; while :; do sleep 0.02; done`;
    const slow = `trap 'sleep 0.3; date +%s%N; exit 0' TERM; while :; do sleep 0.02; done`;
    await createPod('terminated', {
      initContainers: [sidecar('first', say('first')), sidecar('second', say('second'))],
      containers: [shell(slow)],
    });
    await podThat('terminated', isReady);
    await cluster.kubectl(['delete', 'pod', 'terminated', '--timeout=60s']);
    const endOf = async (container: string) => BigInt(/\d+/.exec(await logs('terminated', container))?.[0] ?? 0);
    const [main, second, first] = [await endOf('main'), await endOf('second'), await endOf('first')];
    expect([main < second, second < first]).toEqual([true, true]);
  });

  test('a container that ignores SIGTERM is killed when the grace period is over', async () => {
    await createPod('stubborn', {
      terminationGracePeriodSeconds: 1,
      containers: [shell("trap '' TERM; echo up; while :; do sleep 0.05; done")],
    });
    await podThat('stubborn', isReady);
    await cluster.kubectl(['delete', 'pod', 'stubborn', '--timeout=60s']);
    expect(await logs('stubborn')).toBe('up\n');
  });
});

describe('what a container sees', () => {
  test('variables, files and its place in the cluster are those of the pod spec', async () => {
    await apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings' },
      data: { color: 'blue', 'a.conf': 'text' },
    });
    await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { PASSWORD: 'pw' } });
    await createPod(
      'environment',
      {
        restartPolicy: 'Never',
        volumes: [
          { name: 'conf', configMap: { name: 'settings', items: [{ key: 'a.conf', path: 'sub/a.conf' }] } },
          { name: 'info', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
        ],
        containers: [
          {
            name: 'main',
            image: 'shell',
            command: ['/bin/sh', '-c', 'env; cat "$CONF/sub/a.conf" "$INFO"; echo; echo "$0 $1"'],
            args: ['--file=/etc/conf/sub/a.conf', '$(COLOR) $$(COLOR) $(NOPE)'],
            envFrom: [{ prefix: 'S_', secretRef: { name: 'keys' } }],
            env: [
              { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
              { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'keys', key: 'nothing', optional: true } } },
              { name: 'LONG', value: '$(S_PASSWORD)-$(COLOR)' },
              { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              { name: 'TEAM', valueFrom: { fieldRef: { fieldPath: "metadata.labels['team']" } } },
              { name: 'CONF', value: '/etc/conf' },
              { name: 'INFO', value: '/etc/info/labels' },
            ],
            volumeMounts: [
              { name: 'conf', mountPath: '/etc/conf' },
              { name: 'info', mountPath: '/etc/info' },
            ],
          },
        ],
      },
      { labels: { team: 'red' } },
    );
    const { podIP } = await podThat('environment', hasPhase('Succeeded'));
    const lines = (await logs('environment')).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining(['FROM_IMAGE=yes', 'COLOR=blue', 'LONG=pw-blue', 'TEAM=red', `IP=${podIP}`]),
    );
    expect(lines.filter((line) => line.startsWith('ABSENT'))).toEqual([]);
    expect(lines).toContain('textteam="red"');
    expect(lines.at(-2)).toMatch(/^--file=\/.+\/volumes\/conf\/sub\/a\.conf blue \$\(COLOR\) \$\(NOPE\)$/);
  });

  test('a pod waits for a Secret that is missing and starts when it is there', async () => {
    const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'late', key: 'key' } } }];
    await createPod('patient', { restartPolicy: 'Never', containers: [shell('echo $KEY', { env })] });
    await podThat('patient', ({ containerStatuses }) =>
      containerStatuses.some(({ state }) => state.waiting?.reason === 'CreateContainerConfigError'),
    );
    await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'late' }, stringData: { key: 'at last' } });
    await podThat('patient', hasPhase('Succeeded'));
    expect(await logs('patient')).toBe('at last\n');
  });

  test('the termination message reaches the status', async () => {
    await createPod('farewell', {
      restartPolicy: 'Never',
      containers: [
        shell('printf "it is over" >"$MESSAGE"; exit 7', {
          env: [{ name: 'MESSAGE', value: '/messages/last' }],
          terminationMessagePath: '/messages/last',
        }),
      ],
    });
    const { phase, containerStatuses } = await podThat('farewell', hasPhase('Failed', 'Succeeded'));
    expect(phase).toBe('Failed');
    expect(containerStatuses[0]?.state.terminated).toEqual({ exitCode: 7, reason: 'Error', message: 'it is over' });
  });

  test('its kubeconfig has the rights of its ServiceAccount and no others', async () => {
    await cluster.kubectl(['create', 'serviceaccount', 'worker']);
    await cluster.kubectl(['create', 'role', 'worker', '--verb=get', '--resource=pods']);
    await cluster.kubectl(['create', 'rolebinding', 'worker', '--role=worker', '--serviceaccount=default:worker']);
    const kubectl = await binary('kubectl');
    const script = `${kubectl} get pod $HOSTNAME -o name && ${kubectl} get secrets`;
    await createPod('limited', {
      serviceAccountName: 'worker',
      restartPolicy: 'Never',
      containers: [shell(script)],
    });
    const { phase } = await podThat('limited', hasPhase('Failed', 'Succeeded'));
    expect(await logs('limited')).toMatch(/^pod\/limited\n.*cannot list resource "secrets"/s);
    expect(phase).toBe('Failed');
  });
});

describe('health', () => {
  test('a crashing container is restarted with a growing back-off and keeps its last state', async () => {
    await createPod('crashing', { containers: [shell('echo run; exit 5')] });
    const status = await podThat('crashing', ({ containerStatuses }) => (containerStatuses[0]?.restartCount ?? 0) >= 2);
    expect(status.phase).toBe('Running');
    expect(status.containerStatuses[0]?.lastState.terminated?.exitCode).toBe(5);
    await podThat('crashing', ({ containerStatuses: [main] }) => main?.state.waiting?.reason === 'CrashLoopBackOff');
    expect(await cluster.kubectl(['logs', 'crashing', '--previous'])).toBe('run\n');
    await cluster.kubectl(['delete', 'pod', 'crashing', '--timeout=60s']);
  });

  test('probes decide about readiness, and a failing liveness probe restarts', async () => {
    const server = `require('node:http').createServer((request, response) => {
        if (request.url === '/break') broken = true;
        response.writeHead(broken && request.url === '/live' ? 500 : 200).end(process.env.HOSTNAME);
      }).listen(8080, process.env.IP); var broken = false;`;
    await createPod('probed', {
      containers: [
        {
          ...shell('', { args: undefined, command: ['node', '-e', server] }),
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          startupProbe: { tcpSocket: { port: 'http' }, periodSeconds: 1, failureThreshold: 20 },
          readinessProbe: { httpGet: { port: 'http', path: '/ready' }, periodSeconds: 1 },
          livenessProbe: { httpGet: { port: 8080, path: '/live' }, periodSeconds: 1, failureThreshold: 1 },
        },
      ],
    });
    const { podIP } = await podThat('probed', isReady);
    const answer = await fetch(`http://${podIP}:8080/break`);
    expect(await answer.text()).toBe('probed');
    const { containerStatuses } = await podThat(
      'probed',
      (status) => status.containerStatuses[0]?.restartCount === 1 && isReady(status),
    );
    expect(containerStatuses[0]?.lastState.terminated?.exitCode).toBe(143);
    await cluster.kubectl(['delete', 'pod', 'probed', '--timeout=60s']);
  });
});

describe('honesty', () => {
  test('a pod spec that it does not support fails the pod and names the field', async () => {
    await createPod('unsupported', {
      restartPolicy: 'Never',
      volumes: [{ name: 'disk', hostPath: { path: '/' } }],
      containers: [shell('true', { lifecycle: { postStart: { exec: { command: ['true'] } } } })],
    });
    expect(await podThat('unsupported', hasPhase('Failed'))).toMatchObject({
      reason: 'UnsupportedPodSpec',
      message: expect.stringMatching(/spec\.containers\[0\]\.lifecycle\.postStart.*spec\.volumes\[0\]\.hostPath/),
    });
  });

  test('an image that is not in its table does not run', async () => {
    await createPod('unknown-image', { containers: [shell('true', { image: 'elsewhere/thing:1' })] });
    await podThat(
      'unknown-image',
      ({ phase, containerStatuses: [main] }) =>
        phase === 'Pending' && main?.state.waiting?.reason === 'ErrImageNeverPull',
    );
    await cluster.kubectl(['delete', 'pod', 'unknown-image', '--timeout=60s']);
  });
});

describe('faults', () => {
  test('a killed process is a failed container, with the exit code of its signal', async () => {
    await createPod('victim', { restartPolicy: 'Never', containers: [shell('exec sleep 600')] });
    await podThat('victim', isReady);
    cluster.node.signal('default', 'victim', 'main', 'SIGKILL');
    const { containerStatuses } = await podThat('victim', hasPhase('Failed'));
    expect(containerStatuses[0]?.state.terminated?.exitCode).toBe(137);
  });

  test('pods run on while the API server is away, and their status arrives later', async () => {
    await createPod('onlooker', { restartPolicy: 'Never', containers: [shell('sleep 1; echo done')] });
    await podThat('onlooker', isReady);
    await cluster.apiserver.kill('SIGKILL');
    await waitFor(async () => (await logs('onlooker')) === 'done\n', { for: 'the end of the container' });
    await cluster.apiserver.restart();
    await podThat('onlooker', hasPhase('Succeeded'));
  });

  test('kubectl logs follows a container to its end', async () => {
    await createPod('talkative', {
      restartPolicy: 'Never',
      containers: [shell('for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done')],
    });
    await podThat('talkative', (status) => isReady(status) || status.phase === 'Succeeded');
    expect(await cluster.kubectl(['logs', 'talkative', '-f'])).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n');
    expect(await cluster.kubectl(['logs', 'talkative', '--tail=2'])).toBe('line 4\nline 5\n');
  });

  test('a node that disappears leaves its pods as they were last seen', async () => {
    await using other = await cluster.addNode('other-node');
    await createPod('stranded', { nodeName: 'other-node', containers: [shell('exec sleep 600')] });
    await podThat('stranded', isReady);
    await other.disappear();
    expect((await podStatus('stranded')).phase).toBe('Running');
    expect(() => other.signal('default', 'stranded', 'main', 'SIGTERM')).toThrow(/does not run/);
    await cluster.kubectl(['delete', 'pod', 'stranded', '--force', '--grace-period=0', '--timeout=60s']);
  });
});
