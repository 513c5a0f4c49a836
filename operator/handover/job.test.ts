import { describe, expect, test } from 'vitest';
import { migration } from '../edge-migration/testing/facts.ts';
import { buildHandover } from './job.ts';
import { readOutcome } from './outcome.ts';

const SETTINGS = {
  namespace: 'flagsmith',
  timeoutSeconds: 600,
  tables: { environments: 'environments', serverKeys: 'server-keys', environmentsV2: undefined },
};

/** A pod of the Core API in a cluster with a mesh. */
function apiPod(changes: Record<string, unknown> = {}, annotations = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'api-1', namespace: 'flagsmith', labels: { app: 'api' }, annotations },
    spec: {
      serviceAccountName: 'flagsmith-api',
      nodeName: 'node-1',
      hostNetwork: false,
      imagePullSecrets: [{ name: 'registry' }],
      securityContext: { runAsUser: 65534, runAsNonRoot: true },
      tolerations: [{ key: 'spot', operator: 'Exists' }],
      initContainers: [{ name: 'edge-migration-sidecar', image: 'edge-migration' }],
      containers: [
        { name: 'istio-proxy', image: 'istio/proxyv2', env: [{ name: 'PILOT_CERT_PROVIDER', value: 'istiod' }] },
        {
          name: 'flagsmith-api',
          image: 'flagsmith/flagsmith-api:2.265.0',
          env: [{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'db', key: 'url' } } }],
          envFrom: [{ configMapRef: { name: 'settings' } }],
          ports: [{ containerPort: 8000 }],
          livenessProbe: { httpGet: { path: '/health', port: 8000 } },
          args: ['serve'],
          securityContext: {
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: true,
            capabilities: { add: ['NET_ADMIN'] },
          },
          volumeMounts: [
            { name: 'ca', mountPath: '/etc/ca' },
            { name: 'kube-api-access-x7k2p', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
          ],
        },
      ],
      volumes: [
        { name: 'ca', configMap: { name: 'ca' } },
        { name: 'spool', emptyDir: {} },
        { name: 'kube-api-access-x7k2p', projected: { sources: [] } },
      ],
      ...changes,
    },
  };
}

const build = (pod = apiPod(), stage: 'verify' | 'before' | 'after' = 'before') =>
  buildHandover(migration(), stage, pod, SETTINGS);
const podOf = (pod = apiPod()) => build(pod).spec.template;
const containerOf = (pod = apiPod()) => podOf(pod).spec.containers[0] as Record<string, unknown>;

describe("the hand-over's pod", () => {
  test("has the image, environment and identity of the Core API's own container, even next to a mesh's", () => {
    expect(containerOf()).toMatchObject({
      image: 'flagsmith/flagsmith-api:2.265.0',
      envFrom: [{ configMapRef: { name: 'settings' } }],
      env: [
        { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'db', key: 'url' } } },
        { name: 'EDGE_MIGRATION_TERMINATION_MESSAGE_FILE', value: '/dev/termination-log' },
        { name: 'EDGE_MIGRATION_HANDOVER', value: expect.any(String) },
      ],
    });
    expect(podOf().spec).toMatchObject({
      serviceAccountName: 'flagsmith-api',
      imagePullSecrets: [{ name: 'registry' }],
      securityContext: { runAsUser: 65534, runAsNonRoot: true },
      tolerations: [{ key: 'spot', operator: 'Exists' }],
    });
  });

  test('uses the container that the pod itself names as its default', () => {
    const marked = { 'kubectl.kubernetes.io/default-container': 'istio-proxy' };
    expect(containerOf(apiPod({}, marked))['image']).toBe('istio/proxyv2');
  });

  test('has fewer rights than the API: no token, no capabilities, no privilege escalation', () => {
    expect(podOf().spec.automountServiceAccountToken).toBe(false);
    expect(containerOf()['securityContext']).toEqual({
      seccompProfile: { type: 'RuntimeDefault' },
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('has all mounts of the container except the token of another pod', () => {
    expect(podOf().spec.volumes).toEqual([{ name: 'ca', configMap: { name: 'ca' } }]);
    expect(containerOf()['volumeMounts']).toEqual([{ name: 'ca', mountPath: '/etc/ca' }]);
  });

  test("has none of the API's labels, ports, probes and arguments, and is not bound to its node", () => {
    expect(podOf().metadata.labels).not.toHaveProperty('app');
    for (const field of ['ports', 'livenessProbe', 'args']) expect(containerOf()).not.toHaveProperty(field);
    expect(podOf().spec).not.toHaveProperty('nodeName');
    expect(podOf().spec).not.toHaveProperty('initContainers');
  });

  test('runs a script without variables that Kubernetes would expand', () => {
    const [command, ...others] = containerOf()['command'] as string[];
    expect(command).toBe('python');
    expect(others.join('\n')).not.toContain('$(');
  });

  test('is limited in time by the script itself and, a little later, by the Job', () => {
    const { spec } = build();
    expect(spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 630, ttlSecondsAfterFinished: 86_400 });
    const { env } = spec.template.spec.containers[0] as unknown as { env: { name: string; value: string }[] };
    const want = JSON.parse(env.at(-1)?.value ?? '');
    expect(want).toMatchObject({ project: 42, mode: 'Run', seconds: 600, overridesCopied: false });
  });

  test('only checks in mode Verify, and counts overrides once they are copied', () => {
    const wantOf = (stage: 'verify' | 'after') => {
      const [container] = build(apiPod(), stage).spec.template.spec.containers;
      return JSON.parse((container as unknown as { env: { value: string }[] }).env.at(-1)?.value ?? '');
    };
    expect(wantOf('verify')).toMatchObject({ mode: 'Verify', overridesCopied: false });
    expect(wantOf('after')).toMatchObject({ mode: 'Run', overridesCopied: true });
  });
});

describe("the outcome in a pod's termination message", () => {
  test('is found among other output of its image', () => {
    const line = '{"handover": "refused", "project": 42, "reason": "no table"}';
    expect(readOutcome(`INFO starting\n${line}\nbye`)).toEqual({ outcome: 'refused', words: 'no table' });
  });

  test('is a failure with the whole message if the script printed nothing', () => {
    expect(readOutcome('python: not found')).toEqual({ outcome: 'failed', words: 'python: not found' });
    expect(readOutcome('')).toEqual({ outcome: 'failed', words: 'it ended without a word' });
  });

  test('is a failure with a line of the log, but no keys, if the pod was killed before the script printed', () => {
    const message = '{"event": "environment-document-compressed", "environment_api_key": "client-1"}';
    const { words } = readOutcome({ message, reason: 'OOMKilled', exitCode: 137 });
    expect(words).toBe('OOMKilled, exit code 137 (SIGKILL); it last said: environment-document-compressed');
  });

  test('is rejected if it is truncated or malformed', () => {
    expect(readOutcome('{"handover": "do').outcome).toBe('failed');
    expect(readOutcome('{"handover": "conquered"}').outcome).toBe('failed');
  });

  test('is shortened to fit into a status', () => {
    const { words } = readOutcome(JSON.stringify({ handover: 'failed', reason: 'x'.repeat(5_000) }));
    expect(words).toHaveLength(400);
  });
});
