import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createFastClock, runOperatorHere } from './operator-run.ts';
import { useWorld } from './operator-setup.ts';
import { NAMESPACE } from './operator-world.ts';

const MINUTE = 60_000;
const FACTOR = 5;
/** Time enough to renew on a busy machine at this speed. */
const SETTINGS = {
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '60',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '40',
  EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '4',
};
const setup = useWorld();
let templateFile = '';

const kubectl = (args: readonly string[], input?: object) =>
  setup.world.controlPlane.kubectl(args, input === undefined ? {} : { input: JSON.stringify(input) });

/** The shipped template, with its pods on the node's own network. */
beforeAll(() => {
  const { EDGE_MIGRATION_WORKER_TEMPLATE_FILE: shipped = '' } = setup.world.environment();
  const template = JSON.parse(readFileSync(shipped, 'utf8'));
  template.spec.hostNetwork = true;
  templateFile = join(setup.world.folder, 'host-network.json');
  writeFileSync(templateFile, JSON.stringify(template));
});

afterEach(() => setup.pods.hold(false));

const startOperator = () =>
  runOperatorHere(setup.world, {
    kubeconfig: setup.kubeconfig,
    clock: createFastClock(FACTOR),
    settings: { ...SETTINGS, EDGE_MIGRATION_WORKER_TEMPLATE_FILE: templateFile },
  });

/** Waits until `Degraded` is true for this reason; returns its message. */
async function degraded(projectId: number, reason: string): Promise<string> {
  const { message } = await waitFor(
    async () => {
      const found = recordedCondition((await setup.world.migration(projectId))?.status.conditions, 'Degraded');
      if (found?.reason !== reason) throw new Error(`it is ${found?.status}/${found?.reason}: ${found?.message}`);
      return found;
    },
    { for: `Degraded=True/${reason}`, timeoutMs: 4 * MINUTE, intervalMs: 200 },
  );
  return message;
}

interface Refusal {
  object: { apiVersion: string; kind: string; metadata: { name: string }; spec: object };
  words: RegExp;
}

const ofNamespace = (kind: string, spec: object) => ({ apiVersion: 'v1', kind, metadata: { name: 'strict' }, spec });
const REFUSALS: Readonly<Record<string, Refusal>> = {
  'a ResourceQuota': {
    object: ofNamespace('ResourceQuota', { hard: { pods: '0' } }),
    words: /exceeded quota: strict/,
  },
  'a LimitRange': {
    object: ofNamespace('LimitRange', { limits: [{ type: 'Container', max: { memory: '64Mi' } }] }),
    words: /maximum memory usage per Container is 64Mi/,
  },
  'an admission policy': {
    object: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'strict' },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        validations: [{ expression: 'false', message: 'no pods on Sundays' }],
      },
    },
    words: /no pods on Sundays/,
  },
};

describe('pods that are not created', { timeout: 15 * MINUTE }, () => {
  async function refusedBy(words: RegExp, lift: () => Promise<unknown>) {
    const { world } = setup;
    await using _operator = startOperator();
    const [projectId = 0] = await world.addProjects(1);
    await world.create(projectId);
    const message = await degraded(projectId, 'PodsRefused');
    expect(message).toMatch(/^Job project-\d+-[0-9a-f]{8}-copy-1 has 0 of 1 pods: /);
    expect(message).toMatch(words);
    await lift();
    await world.condition([projectId], 'Succeeded', 'True');
    await world.condition([projectId], 'Degraded', 'False');
  }

  test.each(Object.entries(REFUSALS))('%s: Degraded quotes the error until they are created', async (_, refusal) => {
    const { object, words } = refusal;
    const binding = {
      ...object,
      kind: 'ValidatingAdmissionPolicyBinding',
      spec: { policyName: 'strict', validationActions: ['Deny'] },
    };
    const isPolicy = object.kind === 'ValidatingAdmissionPolicy';
    const list = { apiVersion: 'v1', kind: 'List', items: isPolicy ? [object, binding] : [object] };
    await kubectl(['apply', '--server-side', '-n', NAMESPACE, '-f', '-'], list);
    if (isPolicy) await waitForPolicy();
    await refusedBy(words, () => kubectl(['delete', '-n', NAMESPACE, '-f', '-'], list));
  });

  test('because of Pod Security: Degraded quotes the error until they are created', async () => {
    const label = 'pod-security.kubernetes.io/enforce';
    await kubectl(['label', 'namespace', NAMESPACE, `${label}=restricted`]);
    await refusedBy(/violates PodSecurity "restricted:latest": host namespaces/, () =>
      kubectl(['label', 'namespace', NAMESPACE, `${label}-`]),
    );
  });

  test('because nothing creates them are reported as missing, with what to check', async () => {
    const { world } = setup;
    await using _operator = startOperator();
    const [projectId = 0] = await world.addProjects(1);
    await world.controlPlane.controllerManager.kill('SIGKILL');
    try {
      await world.create(projectId);
      expect(await degraded(projectId, 'PodsMissing')).toMatch(/has 0 of 1 pods, .* kube-controller-manager/);
    } finally {
      await world.controlPlane.controllerManager.restart();
    }
    await world.condition([projectId], 'Succeeded', 'True');
    await world.condition([projectId], 'Degraded', 'False');
  });
});

/** A policy takes effect some time after it was stored. */
async function waitForPolicy() {
  const metadata = { name: 'probe', namespace: NAMESPACE };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'probe', image: 'probe' }] } };
  const isDenied = () =>
    kubectl(['create', '--dry-run=server', '-f', '-'], pod).then(
      () => false,
      (error: Error) => /no pods on Sundays/.test(error.message),
    );
  await waitFor(isDenied, { for: 'the policy to be in force', timeoutMs: 3 * MINUTE });
}
