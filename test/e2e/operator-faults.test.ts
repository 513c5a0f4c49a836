import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { customResourceDefinitions } from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { waitFor } from '../cluster/wait.ts';
import { type Fault, isWrite } from '../faults/kubernetes-proxy.ts';
import { installCrd, readCrd } from '../integration/crd.ts';
import { createFastClock, runOperatorHere } from './operator-run.ts';
import {
  expectEnd,
  isRetired,
  liveUndisturbed,
  nameCall,
  projectOf,
  useWorld,
  waitUntilCopying,
} from './operator-setup.ts';
import { NAMESPACE } from './operator-world.ts';

const MINUTE = 60_000;
/** A request without an answer fails after 30 s: six seconds at this speed. */
const FACTOR = 5;
/** No operation during it could take too long at this speed. */
const OUTAGE_FACTOR = 60;
/** Time enough to renew on a busy machine. */
const SETTINGS = {
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '60',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '40',
  EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '4',
  EDGE_MIGRATION_RELIST_SECONDS: '20',
};

const setup = useWorld();

afterEach(() => {
  setup.proxy.inject(undefined);
  setup.pods.hold(false);
});

const startOperator = (kubeconfig = setup.kubeconfig, clock = createFastClock(FACTOR)) =>
  runOperatorHere(setup.world, { kubeconfig, clock, settings: SETTINGS });

/** A migration whose pods are at work. */
async function createCopying(): Promise<number> {
  const { world, pods } = setup;
  pods.hold(true);
  const [projectId = 0] = await world.addProjects(1);
  await world.create(projectId);
  await waitUntilCopying(world, projectId);
  return projectId;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'a conflict (409)': { kind: 'answer', status: 409, reason: 'Conflict' },
  'a busy API server (429)': { kind: 'answer', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 5 },
  'an internal error (500)': { kind: 'answer', status: 500, reason: 'InternalError' },
  'an API server that goes away (503)': { kind: 'answer', status: 503, reason: 'ServiceUnavailable' },
  'a broken connection': { kind: 'reset' },
  'a lost answer': { kind: 'loseAnswer' },
  'no answer': { kind: 'hang' },
  'an answer that never comes': { kind: 'hangAfter' },
};

describe('an operator under faults', { timeout: 15 * MINUTE }, () => {
  test('reaches the same end after every kind of fault at each of its writes', async () => {
    const { world, proxy } = setup;
    await using _operator = startOperator();
    const end = await liveUndisturbed(world);
    const projectIds = await world.addProjects(Object.keys(FAULTS).length);
    const faultOf = new Map(Object.values(FAULTS).map((fault, index) => [projectIds[index] ?? 0, fault]));
    const failed = new Set<string>();
    proxy.inject((call) => {
      const fault = isWrite(call) ? faultOf.get(projectOf(call)) : undefined;
      const write = `${projectOf(call)} ${nameCall(call)}`;
      if (fault === undefined || failed.has(write)) return undefined;
      failed.add(write);
      return fault;
    });
    await Promise.all(projectIds.map((projectId) => world.create(projectId)));
    await expectEnd(world, projectIds, end);
    // Each of them was hit at its status, its ConfigMaps, its Job and its events.
    for (const projectId of projectIds) {
      const hit = [...failed].filter((write) => write.startsWith(`${projectId} `));
      for (const resource of ['edgemigrations/status', 'configmaps', 'secrets', 'jobs', 'events']) {
        expect(
          hit.some((write) => write.includes(` ${resource} `)),
          `${resource} of ${projectId}`,
        ).toBe(true);
      }
    }
  });

  test.each(['silent', 'refusing'] as const)(
    'survives 30 minutes of an API server that is %s, and catches up with the changes since',
    async (how) => {
      const { world, proxy, pods } = setup;
      const clock = createFastClock(FACTOR);
      await using _operator = startOperator(setup.kubeconfig, clock);
      const end = await liveUndisturbed(world);
      const copying = await createCopying();
      const [created = 0] = await world.addProjects(1);
      proxy.goDark(how);
      await world.create(created);
      pods.hold(false);
      clock.run(OUTAGE_FACTOR);
      await clock.sleep(30 * MINUTE);
      clock.run(FACTOR);
      proxy.comeBack();
      await expectEnd(world, [copying, created], end);
      expect(await world.jobs(copying)).toHaveLength(1);
    },
  );

  test('continues with a rotated token after the old one has expired', async () => {
    const { world, proxy, pods } = setup;
    const { kubeconfig, rotate } = await writeTokenFile();
    await rotate();
    await using _operator = startOperator(kubeconfig);
    const end = await liveUndisturbed(world);
    const copying = await createCopying();
    // The API server rejects all earlier tokens of an account that was recreated.
    const reference = ['serviceaccount', 'edge-migration-operator', '-n', NAMESPACE];
    await world.controlPlane.kubectl(['delete', ...reference]);
    await world.controlPlane.kubectl(['create', ...reference]);
    pods.hold(false);
    const refused = proxy.calls.length;
    await waitFor(() => proxy.calls.length > refused + 10, { for: 'calls with the old token', timeoutMs: 3 * MINUTE });
    expect(await isRetired(world, copying)).toBe(false);
    await rotate();
    await expectEnd(world, [copying], end);
    setup.kubeconfig = await world.operatorKubeconfig(proxy);
  });

  test('waits while its CRD is removed, and starts over when it is back', async () => {
    const { world, pods } = setup;
    await using _operator = startOperator();
    const end = await liveUndisturbed(world);
    const copying = await createCopying();
    const { metadata } = await readCrd();
    await world.client.delete(customResourceDefinitions, { name: metadata.name });
    const isGone = async () =>
      (await world.client.get(customResourceDefinitions, { name: metadata.name })) === undefined;
    await waitFor(isGone, { for: 'the definition to be gone', timeoutMs: 3 * MINUTE });
    const isSwept = async () => (await world.jobs(copying)).length === 0;
    await waitFor(isSwept, { for: 'what it left to be removed', timeoutMs: 3 * MINUTE, intervalMs: 200 });
    await installCrd(world.client);
    pods.hold(false);
    await world.create(copying);
    await expectEnd(world, [copying], end);
  });
});

/** A kubeconfig whose token is in a file, and a function that replaces the token. */
async function writeTokenFile() {
  const { world, kubeconfig } = setup;
  const tokenFile = join(world.folder, 'token');
  const path = join(world.folder, 'rotated.kubeconfig');
  const document = parse(await readFile(kubeconfig, 'utf8'));
  document.users[0].user = { tokenFile };
  writeFileSync(path, stringify(document));
  const rotate = async () => {
    const args = ['create', 'token', 'edge-migration-operator', '-n', NAMESPACE];
    writeFileSync(tokenFile, (await world.controlPlane.kubectl(args)).trim());
  };
  return { kubeconfig: path, rotate };
}
