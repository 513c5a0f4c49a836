/** The real API server's response to everything that the chart renders, and to the resulting pods. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Operation, parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { buildJob, workerTemplateSchema } from '@edge-migration/operator/edge-migration/objects.ts';
import { definitionOf } from '@edge-migration/operator/edge-migration/work-definition.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type ApiClient, connectApi } from '../cluster/api-client.ts';
import { binary } from '../cluster/binaries.ts';
import { kubernetes } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { CHART, find, helm, type Manifest, render, VARIANTS } from './helm.ts';

const NAMESPACE = 'chart-dry-run';
const NAMESPACES = [NAMESPACE, 'chart-team-a', 'chart-team-b', 'chart-flagsmith'];

let kubeconfig: string;
let api: ApiClient;

beforeAll(async () => {
  kubeconfig = (await kubernetes()).kubeconfig;
  api = connectApi(kubeconfig);
  for (const name of NAMESPACES) {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await api.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  }
  const definitions = parseAllDocuments(readFileSync(new URL('foreign-definitions.yaml', import.meta.url), 'utf8'));
  await kubectl(
    ['apply', '--server-side', '-f', '-'],
    definitions.map((document) => document.toJS()),
  );
  const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`;
  const exists = () => api.get(account).catch(() => undefined);
  await waitFor(async () => (await exists()) !== undefined, { for: account });
});

afterAll(async () => {
  for (const name of NAMESPACES) await api?.delete(`/api/v1/namespaces/${name}`);
  await api?.close();
});

function kubectl(args: readonly string[], objects: readonly object[]): Promise<string> {
  return new Promise((resolve, reject) => {
    void binary('kubectl').then((path) => {
      const child = execFile(path, ['--kubeconfig', kubeconfig, ...args], (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(stderr, { cause: error })),
      );
      child.stdin?.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    }, reject);
  });
}

const dryRun = (objects: readonly object[]) =>
  kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '--force-conflicts', '-f', '-'], objects);

interface PodTemplate {
  metadata?: object;
  spec: Record<string, unknown>;
}

/** Every pod of the release: those of its workloads, its test, and the operator's Jobs. */
function podsOf(objects: readonly Manifest[]): [name: string, pod: PodTemplate][] {
  const workloads = objects.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
  const [check] = objects.filter(({ kind }) => kind === 'Pod');
  const operator = find(objects, 'Deployment', check?.metadata.name.replace(/check$/, 'operator') ?? '');
  const { annotations } = (operator['spec'] as { template: { metadata: { annotations: Record<string, string> } } })
    .template.metadata;
  const migration = parseEdgeMigration({
    apiVersion: 'edge.flagsmith.com/v1alpha1',
    kind: 'EdgeMigration',
    metadata: {
      name: 'project-1',
      namespace: NAMESPACE,
      uid: 'uid',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-11-01T00:00:00Z',
    },
    spec: { projectId: 1 },
  });
  const template = workerTemplateSchema.parse(JSON.parse(annotations['edge.flagsmith.com/worker-template'] ?? ''));
  const describeWork = (operation: Operation) => {
    const place = { migration, operation, namespace: NAMESPACE, settingsName: 'root' };
    const source = { ...place, rangeIds: [1], lateWriteSeconds: 65 };
    const comparison = { mode: 'Report', authority: 'Core' } as const;
    return definitionOf(operation).instruct(source, { pageMaxAgeSeconds: 30, comparison });
  };
  const jobOf = (operation: 'copy' | 'verify-1') =>
    buildJob({
      migration,
      operation,
      namespace: NAMESPACE,
      root: { name: 'root', uid: 'uid' },
      attempt: 1,
      rangeIds: [1],
      parallelism: 1,
      template,
      entryPoint: definitionOf(operation).entryPoint,
      work: describeWork(operation),
    });
  return [
    ...workloads.map(({ kind, metadata, spec }): [string, PodTemplate] => [
      `${kind} ${metadata.name}`,
      (spec as { template: PodTemplate }).template,
    ]),
    ['copy', jobOf('copy').spec.template],
    ['verify', jobOf('verify-1').spec.template],
    ['helm test', check as unknown as PodTemplate],
  ];
}

describe.each(VARIANTS)('the API server, given the chart with values for %s,', { timeout: 600_000 }, (name, file) => {
  let objects: Manifest[];
  beforeAll(async () => {
    objects = await render(NAMESPACE, ['--values', file]);
  });

  it('accepts every object, field by field', async () => {
    // A pod by itself needs its account; it is tried below.
    const others = objects.filter(({ kind }) => kind !== 'Pod');
    await expect(dryRun(others)).resolves.toContain('serverside-applied');
  });

  it('accepts every pod under the restricted Pod Security Standard', async () => {
    for (const [owner, { spec }] of podsOf(objects)) {
      // The volume of a StatefulSet comes from its claim.
      const mounted = (spec['volumes'] as { name: string }[] | undefined) ?? [];
      const volumes = owner.startsWith('StatefulSet') ? [...mounted, { name: 'data', emptyDir: {} }] : mounted;
      const unique = [...new Map(volumes.map((volume) => [volume.name, volume])).values()];
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `${name}-pod` },
        spec: { ...spec, volumes: unique, restartPolicy: 'Never', serviceAccountName: 'default' },
      };
      const path = `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All&fieldValidation=Strict`;
      await expect(api.create(path, pod), owner).resolves.toMatchObject({ kind: 'Pod' });
    }
  });

  it('gets only pods with a read-only root file system, a memory limit and no plain-text Secret', async () => {
    for (const [owner, { spec }] of podsOf(objects)) {
      for (const container of spec['containers'] as Record<string, never>[]) {
        expect(container, owner).toMatchObject({
          securityContext: { readOnlyRootFilesystem: true },
          resources: { limits: { memory: expect.any(String) } },
        });
        expect(JSON.stringify(container), owner).not.toMatch(/postgres:\/\/|AWS_SECRET_ACCESS_KEY","value"/);
      }
    }
  });
});

it("gets passwords for the bundled NATS's users that are generated once and kept on upgrade", {
  timeout: 600_000,
}, async () => {
  const settings = ['nats.bundled.enabled=true', 'crds.install=false', 'rbac.create=false', 'operator.replicas=1'];
  const deploy = (level: string) =>
    helm(
      ['upgrade', '--install', 'trial', CHART, '-n', NAMESPACE, '--set', [...settings, `logLevel=${level}`].join()],
      { KUBECONFIG: kubeconfig },
    );
  const readPasswords = async () => {
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets/trial-edge-migration-nats-users`;
    return ((await api.get(path)) as { data: Record<string, string> }).data;
  };
  await deploy('info');
  const made = await readPasswords();
  expect(Object.keys(made).toSorted()).toEqual(['applier', 'operator', 'sidecar']);
  for (const password of Object.values(made)) {
    expect(Buffer.from(password, 'base64').toString()).toMatch(/^p[A-Za-z0-9]{40}$/);
  }
  await deploy('debug');
  expect(await readPasswords()).toEqual(made);
  await helm(['uninstall', 'trial', '-n', NAMESPACE], { KUBECONFIG: kubeconfig });
});

it("gets comparison Jobs that use the image's other entry point", async () => {
  const [, file] = VARIANTS[0]!;
  const pods = new Map(podsOf(await render(NAMESPACE, ['--values', file])));
  const argsOf = (name: string) => (pods.get(name)!.spec['containers'] as [{ args: string[] }])[0].args;
  expect(argsOf('copy').at(-1)).toBe('bin/copy.ts');
  expect(argsOf('verify').at(-1)).toBe('bin/verify.ts');
});

it('would reject a misspelt field', async () => {
  const [, file] = VARIANTS[0]!;
  const objects = await render(NAMESPACE, ['--values', file]);
  const deployment = find(objects, 'Deployment', 'edge-migration-operator');
  Object.assign(deployment['spec'] as object, { replica: 2 });
  await expect(dryRun([deployment])).rejects.toThrow(/replica/);
});
