/** `kubectl edge-migration` on a real API server, whose admin plays the operator where a status is needed. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { EXIT } from '@edge-migration/cli/exit.ts';
import { runProgram } from '@edge-migration/cli/program.ts';
import type { Terminal } from '@edge-migration/cli/terminal.ts';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { createClient, type KubernetesClient, type Resource } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { formatTime } from '@edge-migration/kubernetes/objects.ts';
import { CONFIG_MAPS, EVENTS } from '@edge-migration/kubernetes/resources.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { binary } from '../cluster/binaries.ts';
import { kubernetes } from '../cluster/shared.ts';
import { installCrd } from './crd.ts';

const core = (plural: string, kind: string, namespaced: boolean): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});
const NAMESPACES = core('namespaces', 'Namespace', false);
const ACCOUNTS = core('serviceaccounts', 'ServiceAccount', true);

const namespace = `cli-${process.pid}`;
let project = 1000;
let folder: string;
let kubeconfig: string;
let client: KubernetesClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
  kubeconfig = (await kubernetes()).kubeconfig;
  client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'cli-test' });
  await installCrd(client);
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterAll(async () => {
  await client.delete(NAMESPACES, { name: namespace });
  await client.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  project += 1;
});

interface Answer {
  /** Runs while the question is open, and returns the answer. */
  readonly confirm?: () => Promise<boolean>;
  readonly config?: string;
  readonly clock?: Clock;
}

/** Runs a command as in a script, without a terminal, unless a question is answered. */
async function run(line: string, { confirm, config = kubeconfig, clock = systemClock }: Answer = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    isInteractive: false,
    columns: 200,
    rows: 1000,
    write: (text) => void out.push(text),
    warn: (text) => void err.push(text),
    paint: (_, text) => text,
    confirm: async () => confirm?.(),
  };
  const args = [...line.split(' '), '--kubeconfig', config, '--namespace', namespace];
  const code = await runProgram(args, { terminal, clock, signal: AbortSignal.timeout(240_000) });
  return { code, out: out.join(''), err: err.join('\n') };
}

const reference = () => ({ namespace, name: `project-${project}` });
const read = () => client.get(EDGE_MIGRATIONS, reference());
const readSpec = async () => (await read())?.['spec'] as Record<string, never> & { replay: { windowSeconds: number } };

/** Plays the operator's status update. */
async function setStatus(status: Record<string, unknown>, succeeded: 'True' | 'False' | 'Unknown' = 'Unknown') {
  const time = { lastTransitionTime: '2026-05-04T11:00:00Z', message: 'as told' };
  const conditions = [
    { type: 'Copied', status: 'True', reason: 'Complete', ...time },
    { type: 'Succeeded', status: succeeded, reason: 'Replaying', ...time },
  ];
  const { generation } = (await read())!.metadata;
  const patch = { status: { observedGeneration: generation, phase: 'Replaying', conditions, ...status } };
  await client.patch(EDGE_MIGRATIONS, reference(), patch, { subresource: 'status' });
}

/** A migration whose copy was complete an hour ago. */
async function startFollowing() {
  await run(`start ${project}`);
  await setStatus({ copy: { completionTime: formatTime(Date.now() - 3_600_000) } });
}

describe('the CLI, through the life of a migration,', () => {
  test('plans, starts, suspends, resumes and extends with one command each, and a repeated command changes nothing', async () => {
    const steps: [string, Record<string, unknown>][] = [
      ['plan', { mode: 'Plan' }],
      ['start', { mode: 'Migrate' }],
      ['suspend', { suspend: true }],
      ['resume', { suspend: false }],
    ];
    for (const [command, spec] of steps) {
      expect(await run(`${command} ${project}`)).toMatchObject({ code: EXIT.done, err: '' });
      expect(await readSpec()).toMatchObject(spec);
      const { resourceVersion } = (await read())!.metadata;
      expect(await run(`${command} project-${project}`)).toMatchObject({ code: EXIT.done, err: '' });
      expect((await read())!.metadata.resourceVersion).toBe(resourceVersion);
    }
    expect((await run(`extend ${project} --by 7d`)).code).toBe(EXIT.done);
    expect((await readSpec()).replay.windowSeconds).toBe(2_419_200 + 604_800);
  });

  test('stores nothing in a dry run, which the API server validates', async () => {
    expect(await run(`start ${project} --dry-run`)).toMatchObject({
      code: EXIT.done,
      out: expect.stringContaining('(dry run)'),
    });
    expect(await read()).toBeUndefined();
    const { out } = await run(`start ${project} --parallelism 8 --dry-run -o json`);
    expect(JSON.parse(out)).toMatchObject({
      kind: 'EdgeMigration',
      spec: { copy: { parallelism: 8, pageSize: 1000 } },
    });
  });

  test('refuses what the state does not allow with an exit code of its own', async () => {
    await run(`start ${project}`);
    expect(await run(`plan ${project}`)).toMatchObject({ code: EXIT.notPossible, out: '' });
    expect(await run(`finish ${project} --yes`)).toMatchObject({ code: EXIT.notPossible });
  });
});

describe("the CLI's finish", () => {
  /** The window since the copy, which was complete an hour before `began`: so much, and what the test has taken. */
  async function expectWindow(seconds: number, began: number): Promise<void> {
    const { windowSeconds } = (await readSpec()).replay;
    expect(windowSeconds).toBeGreaterThanOrEqual(seconds - 1);
    expect(windowSeconds).toBeLessThanOrEqual(seconds + 2 + (performance.now() - began) / 1000);
  }

  test('changes nothing without a terminal to ask on, unless --yes is given', async () => {
    const began = performance.now();
    await startFollowing();
    const refused = await run(`finish ${project}`);
    expect(refused).toMatchObject({ code: EXIT.declined, err: expect.stringContaining('--yes') });
    expect((await readSpec()).replay.windowSeconds).toBe(2_419_200);
    expect((await run(`finish ${project} --yes`)).code).toBe(EXIT.done);
    await expectWindow(3660, began);
  });

  test('decides again when the status changes while the question is open', async () => {
    await startFollowing();
    const confirm = async () => {
      await setStatus({ copy: { completionTime: formatTime(Date.now() - 3_600_000) }, message: 'another' });
      return true;
    };
    expect((await run(`finish ${project}`, { confirm })).code).toBe(EXIT.done);
    expect((await readSpec()).replay.windowSeconds).toBeLessThan(4000);
  });

  test('asks again when there is new information by the time of the answer', async () => {
    await startFollowing();
    let asked = 0;
    const confirm = async () => {
      asked += 1;
      const stillOnCore = { state: 'Writing', message: 'as told', writesPerDay: 12 };
      const copy = { completionTime: formatTime(Date.now() - 3_600_000) };
      if (asked === 1) await setStatus({ copy, replay: { stillOnCore } });
      return asked === 1;
    };
    const declined = await run(`finish ${project}`, { confirm });
    expect(declined).toMatchObject({ code: EXIT.declined, err: expect.stringContaining('about 12 requests a day') });
    expect(asked).toBe(2);
    expect((await readSpec()).replay.windowSeconds).toBe(2_419_200);
  });

  test('closes the window a minute after the answer, however long the question was open', async () => {
    const began = performance.now();
    await startFollowing();
    let ahead = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
    const confirm = async () => {
      ahead = 600_000;
      return true;
    };
    expect((await run(`finish ${project}`, { confirm, clock })).code).toBe(EXIT.done);
    await expectWindow(4260, began);
  });

  test('leaves alone a migration that was deleted and recreated while the question was open', async () => {
    await startFollowing();
    const confirm = async () => {
      await client.delete(EDGE_MIGRATIONS, reference());
      await startFollowing();
      return true;
    };
    expect((await run(`finish ${project}`, { confirm })).code).toBe(EXIT.notFound);
    expect((await readSpec()).replay.windowSeconds).toBe(2_419_200);
  });
});

describe("the CLI's output", () => {
  test('of list and status shows what the API server has, also in formats for programs', async () => {
    await startFollowing();
    expect((await run('list')).out).toMatch(
      new RegExp(`^NAME .*\nproject.*project-${project} +${project} +Replaying`, 's'),
    );
    expect((await run(`status ${project}`)).out).toMatch(/Phase: +Replaying\n/);
    const { out } = await run(`status ${project} -o json`);
    expect(JSON.parse(out)).toEqual(await read());
    expect((await run(`list -o name`)).out).toContain(`edgemigration.edge.flagsmith.com/project-${project}\n`);
  });

  test('of watch ends with the migrations, and its exit code tells whether one has failed', async () => {
    await run(`start ${project}`);
    await setStatus({ phase: 'Failed' }, 'False');
    expect(await run(`watch ${project}`)).toEqual({
      code: EXIT.unwell,
      out: `${namespace}/project-${project}  Failed\n`,
      err: '',
    });
    await setStatus({ phase: 'Succeeded' }, 'True');
    expect((await run(`watch ${project}`)).code).toBe(EXIT.done);
  });

  test('of report has the account of the migration', async () => {
    await run(`start ${project}`);
    const name = `project-${project}-audit`;
    const data = { 'audit.txt': 'the whole account\n', 'audit.json': '{}' };
    await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
    await setStatus({ audit: { reportName: name, milestone: 'Copied' } });
    const file = join(folder, 'report.md');
    await run(`report ${project} --operator-namespace ${namespace} --file ${file}`);
    expect(await readFile(file, 'utf8')).toContain('    the whole account');
    const elsewhere = await run(`report ${project} --operator-namespace nowhere -o json`);
    expect(JSON.parse(elsewhere.out).incomplete).toEqual([expect.stringContaining(name)]);
  });

  test('of events shows those of the migration, not of an earlier one of its name', async () => {
    await run(`start ${project}`);
    const { uid } = (await read())!.metadata;
    for (const [reason, involved] of [
      ['Copying', uid],
      ['Earlier', 'another'],
    ]) {
      const involvedObject = { kind: 'EdgeMigration', namespace, name: `project-${project}`, uid: involved };
      const metadata = { name: `event-${reason?.toLowerCase()}`, namespace };
      await client.create(EVENTS, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata,
        involvedObject,
        reason,
        type: 'Normal',
      });
    }
    const { out } = await run(`events ${project}`);
    expect(out).toContain('Copying');
    expect(out).not.toContain('Earlier');
  });
});

describe("the CLI's exit codes", () => {
  test.each([
    ['a project without an EdgeMigration', 'status 999999', EXIT.notFound],
    ['a missing project', 'suspend', EXIT.usage],
    ['an unknown command', 'delete 1', EXIT.usage],
    ['an argument that is not a project', 'status everything', EXIT.usage],
    ['a value that the definition does not allow', 'start 5 --parallelism 65', EXIT.usage],
    ['logs of pods that do not exist', 'logs 999999', EXIT.notFound],
  ])('for %s', async (_, line, code) => {
    expect(await run(line)).toMatchObject({ code, out: '' });
  });

  test('for a cluster that does not answer', async () => {
    const config = join(folder, 'nowhere');
    await writeFile(config, kubeconfigOf('https://127.0.0.1:1', 'none'));
    expect(await run('list', { config })).toMatchObject({ code: EXIT.failed, out: '' });
  });
});

/** A kubeconfig of one user with this token. */
function kubeconfigOf(server: string, token: string, certificate?: string): string {
  const cluster = { server, ...(certificate && { 'certificate-authority-data': certificate }) };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

describe("the CLI's doctor", () => {
  test('lists what is missing from an installation', async () => {
    const { code, out } = await run(`doctor --operator-namespace ${namespace}`);
    expect(out).toContain('ok       definition: EdgeMigrations of v1alpha1 are served');
    expect(out).toContain('ok       rights: you may use every command');
    expect(out).toContain(`FAILED   operator: namespace ${namespace} has no pod of the operator`);
    expect(code).toBe(EXIT.unwell);
  });

  test('lists missing rights for a user without rights, and claims nothing about what it cannot see', async () => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'guest', namespace } };
    await client.create(ACCOUNTS, account);
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: account.metadata,
      spec: {},
    };
    const answer = await client.create(ACCOUNTS, request, { subresource: 'token' });
    const { token } = answer['status'] as { token: string };
    const cluster = loadKubeConfig(kubeconfig).getCurrentCluster()!;
    const certificate = cluster.caData ?? (await readFile(cluster.caFile!)).toString('base64');
    const config = join(folder, 'guest');
    await writeFile(config, kubeconfigOf(cluster.server, token, certificate));
    const { out } = await run('doctor', { config });
    expect(out).toContain(
      `WARNING  rights: you may not patch edgemigrations.edge.flagsmith.com in namespace ${namespace}`,
    );
    expect(out).toContain('unknown  migrations: EdgeMigrations cannot be listed');
    expect(await run('list', { config })).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('Forbidden'),
    });
  });
});

describe('the bundled CLI', () => {
  const execute = promisify(execFile);
  const program = () => join(folder, 'kubectl-edge_migration');

  beforeAll(async () => {
    await execute(process.execPath, ['cli/build.ts', folder], { cwd: join(import.meta.dirname, '../..') });
    await rename(`${program()}.mjs`, program());
  });

  test('needs only Node, and writes no colour without a terminal', async () => {
    await run(`start ${project}`);
    const args = [program(), 'list', '--kubeconfig', kubeconfig, '-n', namespace];
    const { stdout } = await execute(process.execPath, args, { cwd: folder });
    expect(stdout).toContain(`project-${project}`);
    expect(stdout).not.toContain('\u001b');
  });

  test('is a kubectl plugin with completion', async () => {
    await run(`start ${project}`);
    const kubectl = await binary('kubectl');
    const env = {
      PATH: [folder, dirname(process.execPath), process.env['PATH']].join(delimiter),
      KUBECONFIG: kubeconfig,
    };
    const { stdout } = await execute(
      kubectl,
      ['edge-migration', 'status', `${project}`, '-n', namespace, '-o', 'name'],
      { env },
    );
    expect(stdout).toBe(`edgemigration.edge.flagsmith.com/project-${project}\n`);
    const completed = await execute(kubectl, ['__complete', 'edge-migration', 'sus'], { env });
    expect(completed.stdout).toBe('suspend\n:4\n');
  });
});
