import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execute, insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { findCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { JOBS, PODS } from '@edge-migration/operator/edge-migration/resources.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { findPython } from '../differential/python.ts';
import { createServingTestTables, type ServingTestTables } from '../edge/serving-tables.ts';
import { FLAGSMITH, providePath, readState, type StandInState, stateOf, writeState } from '../handover/stand-in.ts';
import { type Installation, install } from './installation.ts';
import { CORE_API } from './replay-parts.ts';

const MINUTE = 60_000;
const IMAGE = 'flagsmith-stand-in:2.265.0';

const started = new AsyncDisposableStack();
let installation: Installation;
let serving: ServingTestTables;
let stateFile: string;

describe.skipIf(findPython() === undefined)('a hand-over by the image of the Core API', { timeout: 6 * MINUTE }, () => {
  beforeAll(async () => {
    const folder = createFolder('handover');
    started.defer(() => removeFolder(folder));
    stateFile = join(folder, 'state.json');
    await writeState(stateFile, stateOf(1));
    const PATH = providePath(folder) ?? '';
    const python = { entrypoint: ['python'], cwd: FLAGSMITH, env: { PATH, PYTHONDONTWRITEBYTECODE: '1' } };
    const names = { environmentsTable: 'handover-environments', environmentsApiKeyTable: 'handover-server-keys' };
    installation = started.use(
      await install({
        pageMaxAgeSeconds: 1,
        images: { [IMAGE]: python },
        optionalTables: true,
        operatorEnvironment: {
          EDGE_MIGRATION_ENVIRONMENTS_TABLE: names.environmentsTable,
          EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE: names.environmentsApiKeyTable,
          EDGE_MIGRATION_EDGE_READY_SECONDS: '1',
          EDGE_MIGRATION_HANDOVER_MODE: 'Run',
          EDGE_MIGRATION_HANDOVER_TIMEOUT_SECONDS: '5',
          EDGE_MIGRATION_CORE_API_NAMESPACE: CORE_API.namespace,
          EDGE_MIGRATION_CORE_API_SELECTOR: CORE_API.selector,
        },
      }),
    );
    serving = started.use(await createServingTestTables(installation.cluster.dynamodb, names));
    await insertRows(installation.databaseUrl, ONE_PROJECT);
    const rights = await readFile(new URL('../../operator/deploy/rbac-handover.yaml', import.meta.url), 'utf8');
    await apply([...parseAllDocuments(rights).map((document) => document.toJS()), ...describeApi()]);
    const isRunning = async () =>
      (await installation.client.list(PODS, { namespace: CORE_API.namespace })).items.some(
        (pod) => (pod['status'] as { phase?: string }).phase === 'Running',
      );
    await waitFor(isRunning, { for: "the Core API's pod" });
  }, 10 * MINUTE);

  afterAll(() => started.disposeAsync());

  test('makes Edge ready before the copy begins, and lets Flagsmith count the overrides after it', async () => {
    const projectId = await addProject(1001);
    await installation.apply(projectId);
    await waitFor(async () => (await readState(stateFile)).project.enable_dynamo_db, {
      for: 'the switch',
      timeoutMs: MINUTE,
    });
    const { reason } = await edgeReady(
      projectId,
      /1 server keys were written, and edge_v2_migration_status, enable_dynamo_db set/,
    );
    expect(reason).toBe('DynamoDBNotEnabled');
    await mirror(projectId);
    await installation.condition(projectId, 'Copied', 'True', { timeoutMs: 2 * MINUTE });
    const [handedOver, copied] = await Promise.all([findJob(projectId, 'before'), findJob(projectId, 'copy-1')]);
    expect(copied.metadata.creationTimestamp! >= handedOver.status.completionTime).toBe(true);
    const isCounted = async () => (await readState(stateFile)).project.edge_v2_migration_status === 'COMPLETE';
    await waitFor(isCounted, { for: 'the second hand-over', timeoutMs: MINUTE });
    await mirror(projectId);
    await installation.condition(projectId, 'EdgeReady', 'True', { timeoutMs: MINUTE });
    const { calls = [] } = await readState(stateFile);
    expect(calls.filter((call) => call.startsWith('update'))).toEqual([
      'update edge_v2_migration_status,enable_dynamo_db',
      'update edge_v2_migration_status',
    ]);
    const marks = await installation.tables.scan(installation.tables.settings.projectMetadataTable);
    expect(marks.find(({ id }) => id?.N === String(projectId))?.['migration_end_time']?.S).toBeDefined();
  });

  test('that fails is EdgeReady=False with the last words of its pod, and the copy is made all the same', async () => {
    const projectId = await addProject(1002, { mood: 'fail' });
    await installation.apply(projectId);
    await installation.condition(projectId, 'Copied', 'True', { timeoutMs: 2 * MINUTE });
    const { reason, message } = await edgeReady(projectId, /AccessDenied/);
    expect(reason).toBe('HandoverFailed');
    expect(message).toContain('the hand-over failed: RuntimeError: AccessDeniedException');
    expect((await readState(stateFile)).project.enable_dynamo_db).toBe(false);
    await setState({ mood: undefined });
    await installation.apply(projectId, { retry: 'again' });
    await waitFor(async () => (await readState(stateFile)).project.enable_dynamo_db, {
      for: 'the next try',
      timeoutMs: MINUTE,
    });
  });

  test('that does not end is stopped', async () => {
    const projectId = await addProject(1003, { mood: 'hang' });
    await installation.apply(projectId);
    const { message } = await edgeReady(projectId, /not done within 5 s/);
    expect(message).toContain('the hand-over failed');
  });

  test('does nothing in a release of Flagsmith that it does not know, and says so', async () => {
    const projectId = await addProject(1004, { release: 'unknown' });
    await installation.apply(projectId);
    const { message } = await edgeReady(projectId, /is not known for this release/);
    expect(message).toContain('Environment.objects.filter_for_document_builder');
    expect((await readState(stateFile)).calls ?? []).toEqual([]);
  });

  test('is refused for a project that the Core API does not have', async () => {
    const projectId = await addProject(1005);
    await setState({ project: { ...stateOf(9).project } });
    await installation.apply(projectId);
    const { message } = await edgeReady(projectId, /was refused/);
    expect(message).toContain(`database has no project ${projectId}`);
  });

  test('is only asked about by a plan', async () => {
    const projectId = await addProject(1006);
    await installation.apply(projectId, { mode: 'Plan' });
    const { message } = await edgeReady(projectId, /can hand over/);
    expect(message).toContain('1 environments with their _META rows and 1 server keys');
    expect((await readState(stateFile)).calls ?? []).toEqual([]);
  });

  test('has the environment of the API, references to Secrets included, and less rights', async () => {
    const { items } = await installation.client.list(JOBS, { namespace: CORE_API.namespace });
    const job = items[0] ?? expect.fail('no Job');
    const { spec } = (job['spec'] as { template: { spec: Record<string, unknown> } }).template;
    const [container] = spec['containers'] as Record<string, unknown>[];
    expect(container?.['image']).toBe(IMAGE);
    expect(container?.['env']).toContainEqual({
      name: 'DJANGO_SECRET_KEY',
      valueFrom: { secretKeyRef: { name: 'flagsmith', key: 'secret' } },
    });
    expect(container?.['securityContext']).toMatchObject({
      capabilities: { drop: ['ALL'] },
      allowPrivilegeEscalation: false,
    });
    expect(spec['automountServiceAccountToken']).toBe(false);
  });
});

/** A project in Core, and alone in what the stand-in has for a database. */
async function addProject(id: number, changes: Partial<StandInState> = {}): Promise<number> {
  await insertRows(installation.databaseUrl, {
    projects_project: [{ id }],
    environments_environment: [{ id, project_id: id, api_key: `key-${id}`, name: 'Production' }],
    environments_environmentapikey: [
      { id, key: `ser.${id}`, name: 'server', environment_id: id, created_at: '2020-01-01T00:00:00Z', active: true },
    ],
    environments_identity: [{ id, identifier: `person-${id}`, environment_id: id }],
  });
  await writeState(stateFile, stateOf(id, changes));
  return id;
}

const setState = async (changes: { [K in keyof StandInState]?: StandInState[K] | undefined }) =>
  writeState(stateFile, { ...(await readState(stateFile)), ...changes } as StandInState);

/** What Flagsmith's code would have changed in Core itself, which the stand-in cannot reach. */
async function mirror(projectId: number) {
  const { project } = await readState(stateFile);
  await execute(
    installation.databaseUrl,
    `UPDATE projects_project SET enable_dynamo_db = ${project.enable_dynamo_db},
       identity_overrides_v2_migration_status = '${project.edge_v2_migration_status}' WHERE id = ${projectId}`,
  );
}

/** The Job of a project whose name ends so. */
async function findJob(projectId: number, end: string) {
  const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
  const { items } = await installation.client.list(JOBS, { labelSelector });
  const job = items.find(({ metadata }) => metadata.name.endsWith(end)) ?? expect.fail(`no Job ${end}`);
  return job as typeof job & { readonly status: { readonly completionTime: string } };
}

const migrationOf = async (projectId: number) => (await installation.migration(projectId))?.status;

/** The condition as it was when it said so; a moment later it may say something else. */
function edgeReady(projectId: number, message: RegExp) {
  const find = async () => {
    const condition = findCondition((await migrationOf(projectId))?.conditions, 'EdgeReady');
    return condition !== undefined && message.test(condition.message) && condition;
  };
  return waitFor(find, { for: `EdgeReady to say ${message}`, timeoutMs: 2 * MINUTE });
}

const apply = (items: readonly object[]) =>
  installation.cluster.kubectl(['apply', '--server-side', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });

function describeApi(): object[] {
  const { dynamodb } = installation.cluster;
  const labels = { 'app.kubernetes.io/name': 'flagsmith', 'app.kubernetes.io/component': 'api' };
  const metadata = { namespace: CORE_API.namespace };
  const env = Object.entries({
    STATE_FILE: stateFile,
    DYNAMODB_ENDPOINT: dynamodb.endpoint,
    DATABASE_URL: 'postgres://elsewhere/flagsmith',
    ENVIRONMENTS_TABLE_NAME_DYNAMO: serving.settings.environmentsTable,
    ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO: serving.settings.environmentsApiKeyTable,
    ENVIRONMENTS_V2_TABLE_NAME_DYNAMO: installation.tables.settings.environmentsV2Table,
  }).map(([name, value]) => ({ name, value }));
  const secret = { name: 'DJANGO_SECRET_KEY', valueFrom: { secretKeyRef: { name: 'flagsmith', key: 'secret' } } };
  const container = { name: 'flagsmith-api', image: IMAGE, args: ['manage.py', 'serve'], env: [...env, secret] };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: { ...metadata, name: 'flagsmith' }, stringData: { secret: 'word' } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, name: 'flagsmith-api', labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
  ];
}
