import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { binary } from '../binaries.ts';
import { probeHttp } from '../probe.ts';
import { hasEnded, hasPhase, isReady, type PodCluster, shell, sidecar, startPodCluster } from './testing/pods.ts';

// A busy machine needs more time.
vi.setConfig({ testTimeout: 600_000 });

let pods: PodCluster;
beforeAll(async () => {
  pods = await startPodCluster();
});
afterAll(() => pods[Symbol.asyncDispose]());

describe('the environment of a container', () => {
  test('has the variables and arguments of the pod spec', async () => {
    await createSources();
    await pods.createPod(
      'variables',
      {
        restartPolicy: 'Never',
        containers: [
          shell('env; echo "$0"', {
            args: ['env; echo "$0"', '$(COLOR) $$(COLOR) $(NOPE)'],
            envFrom: [{ prefix: 'S_', secretRef: { name: 'keys' } }],
            env: [
              { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
              { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'keys', key: 'nothing', optional: true } } },
              { name: 'LONG', value: '$(S_PASSWORD)-$(COLOR)' },
              { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              { name: 'TEAM', valueFrom: { fieldRef: { fieldPath: "metadata.labels['team']" } } },
            ],
          }),
        ],
      },
      { labels: { team: 'red' } },
    );
    const { podIP } = await pods.podThat('variables', hasPhase('Succeeded'));
    const lines = (await pods.logs('variables')).trim().split('\n');
    const expected = ['FROM_IMAGE=yes', 'COLOR=blue', 'LONG=pw-blue', 'TEAM=red', `IP=${podIP}`];
    expect(lines).toEqual(expect.arrayContaining(expected));
    expect(lines.filter((line) => line.startsWith('ABSENT'))).toEqual([]);
    expect(lines.at(-1)).toBe('blue $(COLOR) $(NOPE)');
  });

  test('has volumes as files below the mount paths, which are rewritten in variables and arguments', async () => {
    await createSources();
    await pods.createPod(
      'files',
      {
        restartPolicy: 'Never',
        volumes: [
          { name: 'conf', configMap: { name: 'settings', items: [{ key: 'a.conf', path: 'sub/a.conf' }] } },
          { name: 'keys', secret: { secretName: 'keys' } },
          { name: 'info', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
        ],
        containers: [
          shell('', {
            args: [
              'for file in "$0" "$KEYS/PASSWORD" "$(echo "$1" | cut -d= -f2)"; do cat "$file"; echo; done',
              '/etc/conf/sub/a.conf',
              '--info=/etc/info/labels',
            ],
            env: [{ name: 'KEYS', value: '/etc/keys' }],
            volumeMounts: ['conf', 'keys', 'info'].map((name) => ({ name, mountPath: `/etc/${name}` })),
          }),
        ],
      },
      { labels: { team: 'red' } },
    );
    await pods.podThat('files', hasPhase('Succeeded'));
    expect(await pods.logs('files')).toBe('text\npw\nteam="red"\n');
  });

  async function createSources(): Promise<void> {
    const data = { color: 'blue', 'a.conf': 'text' };
    await pods.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data });
    await pods.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { PASSWORD: 'pw' } });
  }

  test('waits for a missing Secret, and the pod starts once it exists', async () => {
    const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'late', key: 'key' } } }];
    await pods.createPod('waiting', { restartPolicy: 'Never', containers: [shell('echo $KEY', { env })] });
    await pods.podThat(
      'waiting',
      ({ containerStatuses: [main] }) => main?.state.waiting?.reason === 'CreateContainerConfigError',
    );
    await pods.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'late' }, stringData: { key: 'at last' } });
    await pods.podThat('waiting', hasPhase('Succeeded'));
    expect(await pods.logs('waiting')).toBe('at last\n');
  });

  test('has a kubeconfig with exactly the rights of its ServiceAccount', async () => {
    const { cluster } = pods;
    await cluster.kubectl(['create', 'serviceaccount', 'worker']);
    await cluster.kubectl(['create', 'role', 'worker', '--verb=get', '--resource=pods']);
    await cluster.kubectl(['create', 'rolebinding', 'worker', '--role=worker', '--serviceaccount=default:worker']);
    const kubectl = await binary('kubectl');
    await pods.createPod('limited', {
      serviceAccountName: 'worker',
      restartPolicy: 'Never',
      containers: [shell(`${kubectl} get pod $HOSTNAME -o name && ${kubectl} get secrets`)],
    });
    expect((await pods.podThat('limited', hasEnded)).phase).toBe('Failed');
    expect(await pods.logs('limited')).toMatch(/^pod\/limited\n.*cannot list resource "secrets"/s);
  });
});

describe('the output of a container', () => {
  test('includes the termination message in the status', async () => {
    await pods.createPod('farewell', {
      restartPolicy: 'Never',
      containers: [
        shell('printf "it is over" >"$MESSAGE"; exit 7', {
          env: [{ name: 'MESSAGE', value: '/messages/last' }],
          terminationMessagePath: '/messages/last',
        }),
      ],
    });
    const { phase, containerStatuses } = await pods.podThat('farewell', hasEnded);
    expect(phase).toBe('Failed');
    expect(containerStatuses[0]?.state.terminated).toEqual({ exitCode: 7, reason: 'Error', message: 'it is over' });
  });

  test('is followed by kubectl logs to its end', async () => {
    const script = 'for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done';
    await pods.createPod('talkative', { restartPolicy: 'Never', containers: [shell(script)] });
    await pods.podThat('talkative', (status) => isReady(status) || hasEnded(status));
    const { kubectl } = pods.cluster;
    expect(await kubectl(['logs', 'talkative', '-f'])).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n');
    expect(await kubectl(['logs', 'talkative', '--tail=2'])).toBe('line 4\nline 5\n');
    await expect(kubectl(['logs', 'talkative', '--timestamps'])).rejects.toThrow(/does not support timestamps/);
  });
});

describe('the health of a container', () => {
  test('a crashing container is restarted with growing back-off and keeps its last state', async () => {
    await pods.createPod('crashing', { containers: [shell('echo run; exit 5')] });
    const status = await pods.podThat('crashing', ({ containerStatuses: [main] }) => (main?.restartCount ?? 0) >= 2);
    expect(status.phase).toBe('Running');
    expect(status.containerStatuses[0]?.lastState.terminated?.exitCode).toBe(5);
    await pods.podThat(
      'crashing',
      ({ containerStatuses: [main] }) => main?.state.waiting?.reason === 'CrashLoopBackOff',
    );
    expect(await pods.cluster.kubectl(['logs', 'crashing', '--previous'])).toBe('run\n');
    await pods.deletePod('crashing');
  });

  test("a sidecar is restarted although the pod's restart policy is Never, and the pod keeps running", async () => {
    await pods.createPod('sturdy', {
      restartPolicy: 'Never',
      initContainers: [sidecar('helper', 'exec sleep 600')],
      containers: [shell('exec sleep 600')],
    });
    await pods.podThat('sturdy', isReady);
    pods.cluster.node.signal('default', 'sturdy', 'helper', 'SIGKILL');
    const { phase } = await pods.podThat(
      'sturdy',
      (status) => status.initContainerStatuses[0]?.restartCount === 1 && isReady(status),
    );
    expect(phase).toBe('Running');
    await pods.deletePod('sturdy');
  });

  test('probes decide readiness, and a failing liveness probe restarts the container', async () => {
    const server = `let broken = false; require('node:http').createServer((request, response) => {
        if (request.url === '/break') broken = true;
        response.writeHead(broken && request.url === '/live' ? 500 : 200).end(process.env.HOSTNAME);
      }).listen(8080, process.env.IP);`;
    await pods.createPod('probed', {
      containers: [
        {
          name: 'main',
          image: 'shell',
          command: ['node', '-e', server],
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          startupProbe: { tcpSocket: { port: 'http' }, periodSeconds: 1, failureThreshold: 60 },
          readinessProbe: { httpGet: { port: 'http', path: '/ready' }, periodSeconds: 1 },
          // A slow answer is no failure.
          livenessProbe: {
            httpGet: { port: 8080, path: '/live' },
            ...{ periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 120 },
          },
        },
      ],
    });
    const { podIP } = await pods.podThat('probed', isReady);
    expect((await probeHttp(`http://${podIP}:8080/break`)).body).toBe('probed');
    const { containerStatuses } = await pods.podThat(
      'probed',
      (status) => status.containerStatuses[0]?.restartCount === 1 && isReady(status),
    );
    expect(containerStatuses[0]?.lastState.terminated?.exitCode).toBe(143);
    await pods.deletePod('probed');
  });

  test('a container that is not ready is probed again soon, however long its period is', async () => {
    const server = `let asked = 0; require('node:http').createServer((request, response) => {
        response.writeHead(asked++ === 0 ? 503 : 200).end();
      }).listen(8080, process.env.IP);`;
    await pods.createPod('slow', {
      containers: [
        {
          name: 'main',
          image: 'shell',
          command: ['node', '-e', server],
          env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          readinessProbe: { httpGet: { port: 8080, path: '/ready' }, periodSeconds: 3600 },
        },
      ],
    });
    await pods.podThat('slow', isReady);
    await pods.deletePod('slow');
  });
});
