/** A first-time user's path on a real terminal: the typed commands, and the text on the screen. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binary } from '../cluster/binaries.ts';
import { canOpenTerminal, openTerminal, type TestTerminal } from '../cluster/terminal.ts';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { traitsOf } from '../edge/traits.ts';
import { installEmbedded } from './embedded.ts';
import type { Installation } from './installation.ts';

const MINUTE = 60_000;
const IDENTITIES = 1500;
const ROOT = join(import.meta.dirname, '../..');

const started = new AsyncDisposableStack();
let installation: Installation;
let seeded: SeededProject;
let terminal: TestTerminal;
let folder: string;

/** The plugin as shipped, installed where kubectl finds it. */
async function buildPlugin(): Promise<void> {
  await promisify(execFile)(process.execPath, ['cli/build.ts', folder], { cwd: ROOT });
  await rename(join(folder, 'kubectl-edge_migration.mjs'), join(folder, 'kubectl-edge_migration'));
}

/** One write to Core, by an app that does not know about Edge yet. */
async function writeToCore(trait: string): Promise<void> {
  const api = await waitFor(async () => (await installation.coreApis())[0], { for: 'a Core API that is ready' });
  const response = await fetch(`${api}/api/v1/identities/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-environment-key': seeded.environments[0]!.apiKey },
    body: JSON.stringify({ identifier: 'ada@example.com', traits: [{ trait_key: 'plan', trait_value: trait }] }),
  });
  expect(response.status).toBe(200);
}

async function readPlan(): Promise<unknown> {
  const document = await installation.tables.get(`${seeded.environments[0]!.apiKey}_ada@example.com`);
  return document && traitsOf(document)['plan'];
}

describe.runIf(canOpenTerminal)('a newcomer with the CLI', { timeout: 10 * MINUTE }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'newcomer-'));
    started.defer(() => rm(folder, { recursive: true }));
    await buildPlugin();
    installation = started.use(await installEmbedded({ pageMaxAgeSeconds: 8, replay: true }));
    seeded = await seedProject(installation.databaseUrl, { identities: IDENTITIES, unmigratable: 0.002 });
    await waitFor(async () => (await installation.coreApis()).length === 2, {
      for: 'the Core API',
      timeoutMs: 4 * MINUTE,
    });
    const path = [folder, dirname(await binary('kubectl')), dirname(process.execPath), process.env['PATH']];
    terminal = started.use(
      await openTerminal({
        PATH: path.join(delimiter),
        KUBECONFIG: installation.cluster.kubeconfig,
        HOME: folder,
      }),
    );
    await terminal.run(`kubectl config set-context --current --namespace=${installation.namespace}`);
  }, 10 * MINUTE);
  afterAll(() => started.disposeAsync());

  const edgeMigration = (line: string, timeoutMs = MINUTE) => terminal.run(`kubectl edge-migration ${line}`, timeoutMs);

  test('checks the health of each part of the installation', async () => {
    const reported = async () => {
      const { screen, code } = await edgeMigration('doctor');
      return code === 0 && !/^(WARNING|unknown)/m.test(screen) && screen;
    };
    const screen = await waitFor(reported, {
      for: 'a doctor without a complaint',
      timeoutMs: 4 * MINUTE,
      intervalMs: 5_000,
    });
    for (const check of [
      'Kubernetes',
      'definition',
      'rights',
      'operator',
      'Postgres',
      'DynamoDB',
      'NATS',
      'coverage',
      'appliers',
      'process clocks',
      'versions',
    ])
      expect(screen).toMatch(new RegExp(`^ok {7}${check}: `, 'm'));
    expect(screen).toContain('all 2 Core API instances have a live sidecar');
  });

  test('runs the bundled check in the cluster, which leaves nothing behind', async () => {
    const { screen, code } = await edgeMigration('doctor --probe', 3 * MINUTE);
    expect(screen).toMatch(/^ok {7}probe Postgres: /m);
    expect(screen).toMatch(/^ok {7}probe NATS: /m);
    expect(code).toBe(0);
    const jobs = async () =>
      (await installation.kubectl(['get', 'jobs', '-n', installation.namespace, '-o', 'name'])).trim();
    await waitFor(async () => (await jobs()) === '', { for: 'no Job to be left', timeoutMs: 3 * MINUTE });
  });

  test('makes a plan, and sees what would be done without anything being written', async () => {
    const { screen, code } = await edgeMigration(`plan ${seeded.projectId} --watch`, 3 * MINUTE);
    expect(screen).toContain('Planned');
    expect(code).toBe(0);
    const { screen: status } = await edgeMigration(`status ${seeded.projectId}`);
    expect(status).toMatch(/Identities: +1,500\n/);
    expect(await installation.tables.scan()).toEqual([]);
  });

  test('starts, and watches the progress bar until the copy is complete', async () => {
    expect(await edgeMigration(`start ${seeded.projectId}`)).toMatchObject({ code: 0 });
    await terminal.type(`clear; kubectl edge-migration watch ${seeded.projectId} --until Copied; echo watched:$?`);
    await terminal.sees(/\[#*\.*\]/, 2 * MINUTE);
    const screen = await terminal.sees(/watched:0/, 4 * MINUTE);
    // It is redrawn in place: the same line never appears twice.
    expect(screen.match(/edge-migration\/project-\d+ {2}/g)).toHaveLength(1);
    expect(screen).toContain('[########################]  1500/1500 (100%)');
    expect(screen).toContain('skipped 3');
  });

  test('writes to Core as an app does, and sees the write in Edge', async () => {
    await writeToCore('gold');
    await waitFor(async () => (await readPlan()) === 'gold', { for: 'the write in Edge', timeoutMs: 3 * MINUTE });
    const isReplaying = async () => /project-\d+ +\d+ +Replaying/.test((await edgeMigration('list')).screen);
    await waitFor(isReplaying, { for: 'Replaying', timeoutMs: 3 * MINUTE, intervalMs: 1_000 });
  });

  test('extends the window without a confirmation, since nothing is lost by it', async () => {
    const { screen, code } = await edgeMigration(`extend ${seeded.projectId} --by 7d`);
    expect(code).toBe(0);
    expect(screen).not.toContain('[y/N]');
    const seconds = async () => (await installation.migration(seeded.projectId))?.spec?.replay.windowSeconds;
    expect(await seconds()).toBe(2_419_200 + 604_800);
  });

  test('is asked to confirm closing the window, and nothing happens without a yes', async () => {
    const before = await installation.migration(seeded.projectId);
    await terminal.type(`clear; kubectl edge-migration finish ${seeded.projectId}; echo asked:$?`);
    await terminal.sees(/\[y\/N\]/, MINUTE);
    await terminal.type('n');
    await terminal.sees(/asked:5/, MINUTE);
    expect((await installation.migration(seeded.projectId))?.generation).toBe(before?.generation);
  });

  test('finishes, and is told when all earlier writes are in Edge', async () => {
    await terminal.type(`clear; kubectl edge-migration finish ${seeded.projectId}; echo asked:$?`);
    await terminal.sees(/\[y\/N\]/, MINUTE);
    await terminal.type('y');
    await terminal.sees(/asked:0/, MINUTE);
    await writeToCore('last');
    const { screen, code } = await edgeMigration(`watch ${seeded.projectId}`, 6 * MINUTE);
    expect(screen).toContain('Succeeded');
    expect(code).toBe(0);
    expect(await readPlan()).toBe('last');
  });

  test('saves a report of the migration in one file', async () => {
    const file = join(folder, 'report.html');
    expect(await edgeMigration(`report ${seeded.projectId} -o html --file ${file}`)).toMatchObject({ code: 0 });
    const report = await readFile(file, 'utf8');
    expect(report).toContain(`<h1>Migration of project ${seeded.projectId} from Core to Edge</h1>`);
    expect(report).toContain('<span class="phase good">Succeeded</span>');
    expect(report).toContain('What became of the identities');
    expect(report).toContain('Comparison');
  });
});
