/** `helm install` on the embedded cluster, from an empty namespace to a complete removal. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { COMPILED_CODE } from '../cluster/cache.ts';
import { startCluster } from '../cluster/cluster.ts';
import { passwordOf } from '../cluster/nats-accounts.ts';
import { dynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { ROOT } from '../deployed.ts';
import { compareStores } from '../e2e/comparison.ts';
import { createCore, describeReader } from '../e2e/installation.ts';
import { CORE_API, describeCoreApi } from '../e2e/replay-parts.ts';
import { createTables, type TestTables } from '../edge/tables.ts';
import { CHART, helm } from './helm.ts';

const MINUTES = 60_000;
const NAMESPACE = 'migrations';
const RELEASE = 'edge-migration';
const SECRET = 'edge-migration-database';
const MIB = 1024 * 1024;

const started = new AsyncDisposableStack();
let cluster: Awaited<ReturnType<typeof start>>;
let tables: TestTables;
let databaseUrl: string;
let seeded: SeededProject;

const start = () =>
  startCluster({
    images: {
      'edge-migration:0.1.0': { entrypoint: [process.execPath], cwd: ROOT, env: COMPILED_CODE },
    },
    postgres: {},
    dynamodb: false,
    nats: {},
  });

beforeAll(async () => {
  cluster = started.use(await start());
  tables = started.use(await createTables(await dynamodb()));
  databaseUrl = await createCore(cluster.postgres, 'flagsmith');
  seeded = await seedProject(databaseUrl, { identities: 2_000, neighbours: 20 });
  await cluster.kubectl(['create', 'namespace', NAMESPACE]);
  await cluster.kubectl(['create', 'namespace', CORE_API.namespace]);
  const passwords = { operator: passwordOf('operator'), applier: passwordOf('applier') };
  await createSecret('edge-migration-nats', passwords);
  await createSecret('dynamodb', { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' });
});

afterAll(() => started.disposeAsync());

const run = (args: readonly string[]) => helm(args, { KUBECONFIG: cluster.kubeconfig });
const kubectl = (...args: string[]) => cluster.kubectl(['-n', NAMESPACE, ...args]);

async function createSecret(name: string, content: Readonly<Record<string, string>>): Promise<void> {
  const literals = Object.entries(content).map(([key, value]) => `--from-literal=${key}=${value}`);
  await kubectl('create', 'secret', 'generic', name, ...literals);
}

/** Installs or upgrades the release; everything not specific to this machine is the chart's default. */
function install(...further: string[]): Promise<string> {
  const { settings } = tables;
  const values = {
    nats: {
      servers: [cluster.nats.url],
      stream: { maxBytes: 64 * MIB, parkedMaxBytes: 64 * MIB },
      credentials: {
        existingSecret: 'edge-migration-nats',
        type: 'password',
        operator: { key: 'operator' },
        applier: { key: 'applier' },
      },
    },
    capture: { coreApi: { namespace: CORE_API.namespace, selector: CORE_API.selector } },
    dynamodb: {
      endpoint: settings.dynamodbEndpoint,
      identitiesTable: settings.identitiesTable,
      environmentsV2Table: settings.environmentsV2Table,
      existingSecret: 'dynamodb',
    },
    operator: { pageMaxAgeSeconds: 8 },
    worker: { extraEnv: [{ name: 'NOTE', valueFrom: { secretKeyRef: { name: 'note', key: 'text' } } }] },
    // The embedded cluster has no metrics server.
    applier: { autoscaling: { enabled: false } },
  };
  const given = Object.entries(values).map(([name, value]) => `--set-json=${name}=${JSON.stringify(value)}`);
  return run(['upgrade', '--install', RELEASE, CHART, '--namespace', NAMESPACE, ...given, ...further]);
}

const rollout = async () => {
  for (const component of ['operator', 'applier']) {
    await kubectl('rollout', 'status', `deployment/${RELEASE}-${component}`, '--timeout=3m');
  }
};

async function condition(type: string, status: string): Promise<void> {
  const name = `em/project-${seeded.projectId}`;
  await kubectl('wait', name, `--for=condition=${type}=${status}`, '--timeout=4m');
}

/** A write to Core through the sidecar of any pod. */
async function identify(identifier: string, plan: string): Promise<void> {
  const pods = JSON.parse(await cluster.kubectl(['get', 'pods', '-n', CORE_API.namespace, '-o', 'json'])) as {
    items: { status: { podIP: string } }[];
  };
  const response = await fetch(`http://${pods.items[0]?.status.podIP}:8000/api/v1/identities/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-environment-key': seeded.environments[0]?.apiKey ?? '' },
    body: JSON.stringify({ identifier, traits: [{ trait_key: 'plan', trait_value: plan }] }),
  });
  expect(response.status).toBe(200);
}

async function untilEdge(identifier: string, plan: string): Promise<void> {
  const key = `${seeded.environments[0]?.apiKey}_${identifier}`;
  const isThere = async () => JSON.stringify(await tables.get(key)).includes(plan);
  await waitFor(async () => (await tables.get(key)) !== undefined && (await isThere()), {
    for: `${identifier} in Edge`,
    timeoutMs: 4 * MINUTES,
    intervalMs: 200,
  });
}

/** The names of all metrics that the pods of a namespace export on this port. */
async function scrape(namespace: string, selector: string, port: number): Promise<string[]> {
  const pods = JSON.parse(await cluster.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])) as {
    items: { status: { podIP: string } }[];
  };
  const texts = await Promise.all(
    pods.items.map(async ({ status }) => (await fetch(`http://${status.podIP}:${port}/metrics`)).text()),
  );
  return texts.flatMap((text) => text.match(/(?<=^# TYPE )\S+/gm) ?? []);
}

describe('the installed release', { timeout: 18 * MINUTES }, () => {
  it('waits for a missing Secret, which its Helm test names', async () => {
    await install();
    const failed = await run(['test', RELEASE, '--namespace', NAMESPACE, '--logs']).catch(String);
    expect(failed).toMatch(/ok\s+Kubernetes/);
    expect(failed).toMatch(/FAIL\s+Postgres.*its Secret, or the key in it, does not exist/);
    const pods = JSON.parse(await kubectl('get', 'pods', '-l', 'app.kubernetes.io/component=operator', '-o', 'json'));
    expect(pods.items[0].status.containerStatuses[0].state.waiting.reason).toBe('CreateContainerConfigError');
  });

  it('starts once the Secret exists, and passes its Helm test', async () => {
    await createSecret(SECRET, { url: describeReader(databaseUrl) });
    await rollout();
    const passed = await run(['test', RELEASE, '--namespace', NAMESPACE, '--logs']);
    expect(passed.match(/^ok {4}\w+/gm)).toEqual([
      'ok    Kubernetes',
      'ok    Postgres',
      'ok    DynamoDB',
      'ok    NATS',
      'ok    Clocks',
    ]);
  });

  it('copies a project once its API is captured, names the Secret its pods lack, and follows its writes', async () => {
    const coreApi = await describeCoreApi(databaseUrl, cluster.nats.urlOf('sidecar'));
    const list = { apiVersion: 'v1', kind: 'List', items: coreApi };
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
    await cluster.kubectl(['-n', CORE_API.namespace, 'rollout', 'status', 'deployment/flagsmith-api', '--timeout=3m']);
    const migration = {
      apiVersion: 'edge.flagsmith.com/v1alpha1',
      kind: 'EdgeMigration',
      metadata: { name: `project-${seeded.projectId}`, namespace: NAMESPACE },
      spec: { projectId: seeded.projectId },
    };
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(migration) });
    const degraded = await waitFor(
      async () => {
        const path = 'jsonpath={.items[0].status.conditions[?(@.type=="Degraded")]}';
        const found = (await kubectl('get', 'em', '-o', path)) || '{}';
        // Other pods still starting are reported, too.
        return found.includes('PodNotStarting') && found;
      },
      { for: 'the pods that cannot start to be told', timeoutMs: 4 * MINUTES, intervalMs: 200 },
    );
    expect(JSON.parse(degraded)).toMatchObject({ message: expect.stringMatching(/CreateContainerConfigError.*note/) });
    await createSecret('note', { text: 'here' });
    await condition('Replaying', 'True');
    await identify('ada', 'gold');
    await untilEdge('ada', 'gold');
  });

  it('exports every metric that the alerts and the dashboard query', async () => {
    const files = ['alerts.yaml', 'dashboards/edge-migration.json'].map((name) =>
      readFileSync(`${CHART}/files/${name}`, 'utf8'),
    );
    const named = new Set(
      files.join().match(/\b(?:edge_migrations?|reflector|controller_runtime|leader_election)_\w+/g),
    );
    const ours = (component: string) => `app.kubernetes.io/component=${component}`;
    const exported = new Set([
      ...(await scrape(NAMESPACE, ours('operator'), 8080)),
      ...(await scrape(NAMESPACE, ours('applier'), 9465)),
      ...(await scrape(CORE_API.namespace, CORE_API.selector, 9464)),
    ]);
    const missing = [...named].filter((name) => !exported.has(name.replace(/_bucket$/, '')));
    // Metrics of the copy's pods, which have ended, and of the console, which is off.
    expect(missing).toEqual([
      'edge_migration_copy_throttled_total',
      'edge_migration_console_problems_total',
      'edge_migration_console_event_streams',
    ]);
  });

  it('is upgraded in the middle of a migration without losing a write', async () => {
    const writing = Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        await identify(`upgraded ${number}`, `plan ${number}`);
      }),
    );
    await install('--set', 'operator.concurrency=2,applier.concurrency=16,worker.resources.limits.memory=512Mi');
    await writing;
    await rollout();
    await identify('after', 'silver');
    for (let number = 0; number < 20; number++) await untilEdge(`upgraded ${number}`, `plan ${number}`);
    await untilEdge('after', 'silver');
    const { missing, foreign, different } = await compareStores(databaseUrl, seeded.projectId, tables);
    expect({ missing, foreign, different }).toEqual({ missing: [], foreign: [], different: [] });
  });

  it('upgrades the EdgeMigration CRD as well', async () => {
    const name = 'crd/edgemigrations.edge.flagsmith.com';
    const patch = [{ op: 'remove', path: '/spec/versions/0/additionalPrinterColumns' }];
    await cluster.kubectl(['patch', name, '--type=json', '-p', JSON.stringify(patch), '--field-manager=helm']);
    await install('--set', 'logLevel=debug', '--force-conflicts');
    const { spec } = JSON.parse(await cluster.kubectl(['get', name, '-o', 'json']));
    const source = parse(readFileSync(`${CHART}/files/edgemigrations.edge.flagsmith.com.yaml`, 'utf8'));
    expect(spec.versions[0].additionalPrinterColumns).toEqual(source.spec.versions[0].additionalPrinterColumns);
  });

  it('keeps the CRD, the migrations and the data when it is uninstalled', async () => {
    const before = (await tables.scan()).length;
    await run(['uninstall', RELEASE, '--namespace', NAMESPACE, '--wait']);
    expect(await kubectl('get', 'em', '-o', 'name')).toContain(`project-${seeded.projectId}`);
    expect((await tables.scan()).length).toBe(before);
    expect((await kubectl('get', 'deployments,roles,serviceaccounts', '-o', 'name')).trim()).toBe(
      'serviceaccount/default',
    );
  });
});
