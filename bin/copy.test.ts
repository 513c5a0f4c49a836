import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { parseCheckpoint } from '@edge-migration/operator/copy/checkpoint.ts';
import {
  countInserts,
  createTestProject,
  EQUAL,
  type TestProject,
} from '@edge-migration/operator/copy/worker/testing/project.ts';
import type { LiveSettings } from '@edge-migration/operator/edge-migration/facts.ts';
import { readData } from '@edge-migration/operator/job/control-config-map.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { COMPILED_CODE } from '@edge-migration/test/cluster/cache.ts';
import { kubernetes } from '@edge-migration/test/cluster/shared.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('./copy.ts', import.meta.url));
const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
const FULL_SPEED: LiveSettings = { pageSize: 50, maxWriteUnitsPerSecond: 100_000, onConflict: 'KeepEdge' };

let client: KubernetesClient;
let kubeconfig: string;
let project: TestProject;
let folder: string;
let namespace: string;
let created = 0;

beforeAll(async () => {
  ({ kubeconfig } = await kubernetes());
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfig);
  client = createClient({ kubeConfig, clock: systemClock, userAgent: 'test' });
});

afterAll(() => client.close());

beforeEach(async () => {
  project = await createTestProject({ identities: 400, unmigratable: 0.01 });
  folder = await mkdtemp(join(tmpdir(), 'copy-worker-'));
  namespace = `copy-worker-${process.pid}-${created++}`;
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterEach(async () => {
  await client.delete(NAMESPACES, { name: namespace });
  await rm(folder, { recursive: true });
  await project[Symbol.asyncDispose]();
});

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** The process as a user or the kubelet starts it. */
function start(args: string[], environment: Record<string, string>): { process: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...COMPILED_CODE,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      EDGE_MIGRATION_DATABASE_URL: project.databaseUrl,
      EDGE_MIGRATION_DYNAMODB_ENDPOINT: project.proxy.endpoint,
      EDGE_MIGRATION_IDENTITIES_TABLE: project.tables.settings.identitiesTable,
      ...environment,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { process: child, ended };
}

const lastWordsFile = () => join(folder, 'last-words');

/** The operator's input for its pods, and the range file. */
async function preparePod(settings: LiveSettings = FULL_SPEED): Promise<Record<string, string>> {
  const labels = { [LABELS.migrationUid]: 'uid-1', [LABELS.component]: 'copy' };
  const metadata = { name: 'root', namespace, labels, annotations: { [LABELS.migration]: 'default/project-1' } };
  const data = { settings: JSON.stringify(settings) };
  await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  await writeFile(join(folder, '7'), JSON.stringify({ ...project.wholeProject, rangeId: 7 }));
  return {
    KUBECONFIG: kubeconfig,
    EDGE_MIGRATION_WORK: describeWork(),
    EDGE_MIGRATION_RANGES_DIRECTORY: folder,
    EDGE_MIGRATION_RANGE_INDEX: '1',
    EDGE_MIGRATION_TERMINATION_MESSAGE_FILE: lastWordsFile(),
    EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
  };
}

const describeWork = (changed: object = {}) =>
  JSON.stringify({
    projectId: project.seeded.projectId,
    migrationUid: 'uid-1',
    namespace,
    rangeIds: [3, 7],
    checkpointName: 'range',
    settingsName: 'root',
    mode: 'Migrate',
    pageMaxAgeSeconds: 30,
    // Writes that a killed pod may have left on their way are waited for.
    lateWriteSeconds: 2,
    ...changed,
  });

const readConfigMap = () => client.get(CONFIG_MAPS, { namespace, name: 'range-7' });

async function readFact() {
  const object = await readConfigMap();
  return object && parseCheckpoint(readData(object)['checkpoint'] ?? '');
}

describe('a copy pod', () => {
  test('a copy pod copies its range and leaves a checkpoint that the operator finds and can remove', async () => {
    const { code, stdout } = await start([], await preparePod()).ended;
    expect(code, stdout).toBe(0);
    expect(await project.compare()).toEqual(EQUAL);
    const object = await readConfigMap();
    const root = await client.get(CONFIG_MAPS, { namespace, name: 'root' });
    expect(object?.metadata.labels).toMatchObject({ [LABELS.migrationUid]: 'uid-1', [LABELS.component]: 'copy' });
    expect(object?.metadata.annotations).toMatchObject({ [LABELS.migration]: 'default/project-1' });
    expect(object?.metadata.ownerReferences).toEqual([
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'root', uid: root?.metadata.uid },
    ]);
    const fact = await readFact();
    expect(fact).toMatchObject({ rangeId: 7, finished: true, counts: { read: 400, inserted: 396, skipped: 4 } });
    expect(readData(object!)['skipped.jsonl']?.trim().split('\n')).toHaveLength(4);
    // Identifiers are personal data: none may be in the ConfigMap or in the log.
    const identifiers = await project.sql("SELECT identifier FROM environments_identity WHERE identifier LIKE '%@%'");
    for (const { identifier } of identifiers) {
      expect(JSON.stringify(object)).not.toContain(identifier);
      expect(stdout).not.toContain(identifier);
    }
  });

  test('a copy pod resumes after kill -9: it repeats at most one page, and no count is lost or doubled', async () => {
    const environment = await preparePod();
    let batches = 0;
    project.proxy.inject(({ operation }) =>
      operation === 'BatchExecuteStatement' && ++batches > 6 ? { kind: 'hang' } : undefined,
    );
    const first = start([], environment);
    await waitFor(async () => ((await readFact())?.counts.read ?? 0) > 60, { for: 'some pages' });
    first.process.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    const before = await readFact();
    expect(before?.finished).toBe(false);
    project.proxy.inject(undefined);
    const second = await start([], environment).ended;
    expect(second.code, second.stdout).toBe(0);
    expect(await project.compare()).toEqual(EQUAL);
    const { counts } = (await readFact())!;
    expect(counts).toMatchObject({ read: 400, skipped: 4 });
    expect(counts.inserted + counts.unchanged).toBe(396);
    const repeated = [...countInserts(project.proxy).values()].filter((times) => times > 1).length;
    expect(repeated).toBeLessThanOrEqual(FULL_SPEED.pageSize);
    expect(counts.unchanged).toBeLessThanOrEqual(FULL_SPEED.pageSize);
  });

  test('a copy pod follows the settings in the ConfigMap while it runs', async () => {
    const environment = await preparePod({ ...FULL_SPEED, maxWriteUnitsPerSecond: 10 });
    const running = start([], environment);
    await waitFor(readFact, { for: 'the first page' });
    const data = { settings: JSON.stringify(FULL_SPEED) };
    await client.patch(CONFIG_MAPS, { namespace, name: 'root' }, { data });
    // At ten units a second it would take two minutes.
    expect((await running.ended).code).toBe(0);
  });

  test('a copy pod stops when the ConfigMap of its migration is removed', async () => {
    const environment = await preparePod({ ...FULL_SPEED, maxWriteUnitsPerSecond: 10 });
    const running = start([], environment);
    await waitFor(readFact, { for: 'the first page' });
    await client.delete(CONFIG_MAPS, { namespace, name: 'root' });
    const { code, stderr } = await running.ended;
    expect(code).toBe(75);
    expect(stderr).toContain('is gone: the migration was stopped');
  });

  test('a copy pod stops at once on SIGTERM, with exit code 143', async () => {
    const environment = await preparePod({ ...FULL_SPEED, maxWriteUnitsPerSecond: 10 });
    const running = start([], environment);
    await waitFor(readFact, { for: 'the first page' });
    running.process.kill('SIGTERM');
    expect((await running.ended).code).toBe(143);
  });

  test('a copy pod only counts in mode Plan', async () => {
    const before = project.proxy.writes();
    const { code } = await start([], { ...(await preparePod()), EDGE_MIGRATION_WORK: describeWork({ mode: 'Plan' }) })
      .ended;
    expect(code).toBe(0);
    expect(project.proxy.writes()).toBe(before);
    expect(await readFact()).toMatchObject({ finished: true, counts: { read: 400, inserted: 396, skipped: 4 } });
  });

  test.each<[string, number, () => Record<string, string>, string]>([
    ['an unknown setting', 64, () => ({ EDGE_MIGRATION_TYPO: '1' }), 'EDGE_MIGRATION_TYPO is not a known setting'],
    [
      'malformed work',
      64,
      () => ({ EDGE_MIGRATION_WORK: describeWork({ mode: 'Preview', namespace: undefined }) }),
      'EDGE_MIGRATION_WORK is invalid: namespace: Invalid input: expected string, received undefined; mode: ',
    ],
    [
      'a project that does not exist',
      64,
      () => ({ EDGE_MIGRATION_WORK: describeWork({ projectId: 99999 }) }),
      'Project 99999 does not exist',
    ],
    [
      'a table that does not exist',
      64,
      () => ({ EDGE_MIGRATION_IDENTITIES_TABLE: 'nowhere' }),
      'Table nowhere does not exist',
    ],
    ['an index without a range', 64, () => ({ EDGE_MIGRATION_RANGE_INDEX: '5' }), 'index 5 has no range'],
    [
      'a range that cannot be read',
      65,
      () => ({ EDGE_MIGRATION_RANGE_INDEX: '0' }),
      'cannot be read; plan the migration',
    ],
    [
      'a database that is down, once the retry budget is spent',
      75,
      () => ({
        EDGE_MIGRATION_DATABASE_URL: 'postgres://u:p@127.0.0.1:1/core',
        EDGE_MIGRATION_RETRY_BUDGET_SECONDS: '1',
      }),
      '127.0.0.1:1/core cannot be reached',
    ],
  ])('a copy pod with %s exits with code %d and says why', async (_, code, change, words) => {
    const ended = await start([], { ...(await preparePod()), ...change() }).ended;
    expect(ended.code, ended.stderr).toBe(code);
    expect(ended.stderr).toContain(words);
    // Without a configuration the place for the last words is unknown.
    if (!ended.stderr.includes('Invalid configuration')) {
      expect(await readFile(lastWordsFile(), 'utf8')).toContain(words);
    }
  });
});

describe('npm run copy', () => {
  const projectId = () => String(project.seeded.projectId);

  test('npm run copy copies a whole project and prints one JSON object last', async () => {
    const report = join(folder, 'skipped.jsonl');
    const { code, stdout, stderr } = await start(['--project', projectId(), '--json', '--report', report], {}).ended;
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
      projectId: project.seeded.projectId,
      read: 400,
      inserted: 396,
      skipped: 4,
      seconds: expect.any(Number),
      identitiesPerSecond: expect.any(Number),
      workerCpuSeconds: expect.any(Number),
      rssMb: expect.any(Number),
    });
    expect(stderr).toMatch(/400 identities, [\d,]+\/s: 396 inserted/);
    expect((await readFile(report, 'utf8')).trim().split('\n')).toHaveLength(4);
    expect(await project.compare()).toEqual(EQUAL);
  });

  test('npm run copy copies a single environment on request', async () => {
    const { id, apiKey } = project.stores.project.environments[1]!;
    expect((await start(['--project', projectId(), '--environment', String(id)], {}).ended).code).toBe(0);
    const keys = new Set((await project.tables.scan()).map((item) => item['environment_api_key']?.S));
    expect(keys).toEqual(new Set([apiKey]));
  });

  test.each([
    [['--project', 'x'], 'Usage: npm run copy'],
    [['--project', '1', '--rat', '5'], 'Usage: npm run copy'],
    [['--project', '1', '--environment', '99999'], 'has no environment 99999'],
  ])('npm run copy refuses %j with code 64 and says what is possible', async (args, words) => {
    const { code, stderr } = await start(args, {}).ended;
    expect(code).toBe(64);
    expect(stderr).toContain(words);
  });
});
