import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EDGE_MIGRATIONS, type EdgeMigration, GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createUser, EDIT, startConsole } from '../console/run.ts';
import { seedProject } from '../core/seed.ts';
import type { Installation } from '../e2e/installation.ts';
import type { Screen } from './screen.ts';

/** Serves the console on the demo's cluster, and prints how to sign in. */
export async function serveConsole(
  installation: Installation,
  screen: Screen,
): Promise<{ url: string } & AsyncDisposable> {
  const { client, cluster, namespace } = installation;
  const kubeConfig = loadKubeConfig(cluster.kubeconfig);
  const served = await screen.step('the console', () => startConsole({ kubeConfig, namespace }));
  const token = await createUser(client, namespace, 'console-demo', EDIT);
  screen.heading('The console');
  screen.line(served.url);
  screen.line('Sign in with this token (it can change the EdgeMigrations of this cluster, and is valid for a day):');
  screen.quote(token);
  return served;
}

/** Opens an address in the viewer's browser if there is a screen for one. */
export async function openBrowser(url: string, screen: Screen): Promise<void> {
  const { platform, env } = process;
  const hasScreen = platform === 'darwin' || env['DISPLAY'] !== undefined || env['WAYLAND_DISPLAY'] !== undefined;
  if (!hasScreen || !process.stdout.isTTY) return;
  const opener = spawn(platform === 'darwin' ? 'open' : 'xdg-open', [url], { stdio: 'ignore', detached: true });
  opener.unref();
  await once(opener, 'spawn').catch(() => screen.line('No browser could be opened: follow the address.'));
}

/** One project of the fleet: its request, and what is done to it until it shows its state. */
interface Member {
  readonly name: string;
  readonly identities: number;
  readonly unmigratable?: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly continue?: (projectId: number) => Promise<unknown>;
}

/** The slowest copy that a spec allows, so that there is time to watch. */
const SLOW = { copy: { parallelism: 1, pageSize: 10, maxWriteUnitsPerSecond: 10 } };
const TIMEOUT_MS = 300_000;

/** Seeds projects and starts their migrations, so that the console shows each state. */
export async function seedFleet(
  installation: Installation,
  seededProjectId: number,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  const { apply } = installation;
  const waitFor = (type: string) => (projectId: number) =>
    installation.condition(projectId, type, 'True', { timeoutMs: TIMEOUT_MS, signal });
  const members: Member[] = [
    { name: 'Mobile apps: writes to Core are followed', identities: 300, spec: {}, continue: waitFor('Replaying') },
    {
      name: 'Loyalty programme: planned, waits for the button',
      identities: 2000,
      unmigratable: 0.01,
      spec: { mode: 'Plan' },
    },
    { name: 'Web shop: being copied, slowly', identities: 20_000, unmigratable: 0.001, spec: SLOW },
    {
      name: 'Back office: suspended in the middle',
      identities: 3000,
      spec: SLOW,
      continue: async (projectId) => {
        await waitUntilRead(installation, projectId, signal);
        await apply(projectId, { ...SLOW, suspend: true });
      },
    },
    {
      name: 'Help centre: finished',
      identities: 200,
      spec: { replay: { windowSeconds: 1 } },
      continue: waitFor('Succeeded'),
    },
    {
      name: 'Newsroom: Core and Edge differ',
      identities: 200,
      spec: {},
      continue: async (projectId) => {
        await waitFor('Verified')(projectId);
        await changeUnseen(installation.databaseUrl, projectId);
        await apply(projectId, { retry: 'verify-demo' });
      },
    },
  ];
  const projectIds: number[] = [];
  // In sequence: each one drops the indexes while it loads.
  for (const { identities, unmigratable = 0 } of members)
    projectIds.push((await seedProject(installation.databaseUrl, { identities, unmigratable })).projectId);
  await apply(seededProjectId);
  const following = members.map(async ({ name, spec, continue: proceed }, index) => {
    const projectId = projectIds[index]!;
    await apply(projectId, spec);
    await giveName(installation, projectId, name);
    await proceed?.(projectId);
  });
  // Migrations of projects that Core does not have.
  following.push(apply(4_000_000), apply(4_000_001, { mode: 'Plan' }));
  await screen.step(`${members.length + 3} projects, each in another state`, () => Promise.all(following));
}

/** The name that the console shows beside the id. */
async function giveName({ client, namespace }: Installation, projectId: number, name: string) {
  const metadata = { annotations: { [`${GROUP}/project-name`]: name } };
  await client.patch(EDGE_MIGRATIONS, { namespace, name: `project-${projectId}` }, { metadata });
}

async function waitUntilRead(installation: Installation, projectId: number, signal: AbortSignal): Promise<void> {
  const isRead = (migration: EdgeMigration | undefined) => (migration?.status.copy?.identitiesRead ?? 0) > 50;
  const deadline = systemClock.monotonic() + TIMEOUT_MS;
  while (!isRead(await installation.migration(projectId)) && systemClock.monotonic() < deadline)
    await systemClock.sleep(500, signal);
}

/** Writes to Core behind the sidecars' backs, as nothing that serves Flagsmith would. */
const changeUnseen = (databaseUrl: string, projectId: number) =>
  execute(
    databaseUrl,
    `UPDATE environments_trait SET value_type = 'unicode', string_value = 'changed unseen' WHERE id IN (
       SELECT trait.id FROM environments_trait trait
       JOIN environments_identity identity ON identity.id = trait.identity_id
       JOIN environments_environment environment ON environment.id = identity.environment_id
       WHERE environment.project_id = ${projectId} ORDER BY trait.id LIMIT 9)`,
  );
