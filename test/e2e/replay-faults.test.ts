/** Faults of the processes that follow Core, one at a time; soak/ has all of them at once. */

import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { traitsOf } from '../edge/traits.ts';
import { compareStores } from './comparison.ts';
import { installEmbedded } from './embedded.ts';
import type { Installation } from './installation.ts';
import { CORE_API } from './replay-parts.ts';
import { type CoreClients, createCoreClients } from './soak/core-clients.ts';
import { countEvents, countUnsent, readGaps, readOldestReport } from './stream.ts';

const MINUTES = 60_000;
const ACK_WAIT_SECONDS = 3;
const PAGE_MAX_AGE_SECONDS = 8;

let installation: Installation;
let clients: CoreClients;

beforeAll(async () => {
  installation = await installEmbedded({
    replay: true,
    pageMaxAgeSeconds: PAGE_MAX_AGE_SECONDS,
    applierEnvironment: {
      EDGE_MIGRATION_ACK_WAIT_SECONDS: String(ACK_WAIT_SECONDS),
      EDGE_MIGRATION_LATE_WRITE_SECONDS: '5',
    },
    sidecarEnvironment: { EDGE_MIGRATION_HEARTBEAT_SECONDS: '1' },
  });
  const both = async () => {
    const apis = await installation.coreApis();
    return apis.length === 2 && apis;
  };
  clients = createCoreClients(await waitFor(both, { for: 'both Core APIs', timeoutMs: 3 * MINUTES, intervalMs: 250 }));
});

afterAll(async () => {
  await clients?.[Symbol.asyncDispose]();
  await installation?.stop();
});

const keyOf = ({ environments }: Pick<SeededProject, 'environments'>) => environments[0]?.apiKey ?? '';

async function identify(project: Pick<SeededProject, 'environments'>, identifier: string, plan: string): Promise<void> {
  const body = { identifier, traits: [{ trait_key: 'plan', trait_value: plan }] };
  const request = { route: 'identify', method: 'POST', path: 'identities/', environmentKey: keyOf(project), body };
  expect(await clients.send(request)).toBe('acknowledged');
}

async function planInEdge(project: Pick<SeededProject, 'environments'>, identifier: string): Promise<unknown> {
  const document = await installation.tables.get(`${keyOf(project)}_${identifier}`);
  return document && traitsOf(document)['plan'];
}

/** Waits until every event has been sent and handled, or set aside. */
async function quiet(): Promise<void> {
  const { nats } = installation.cluster;
  const isQuiet = async () => (await countUnsent(nats)) + (await countEvents(nats)) === 0;
  // The sidecars' own reports are older than the last write.
  for (let times = 0; times < 2; times++) {
    await nextReports();
    await waitFor(isQuiet, { for: 'every event to be handled', timeoutMs: 3 * MINUTES, intervalMs: 500 });
  }
}

async function nextReports(): Promise<void> {
  const asked = systemClock.now();
  const areNewer = async () => (await readOldestReport(installation.cluster.nats)) > asked;
  await waitFor(areNewer, { for: 'newer reports of the sidecars', timeoutMs: 3 * MINUTES, intervalMs: 250 });
}

const seed = () => seedProject(installation.databaseUrl, { identities: 200, neighbours: 20 });

/** Copies a project, a new one by default, and returns it when it is followed. */
async function migrate(given?: SeededProject): Promise<SeededProject> {
  const project = given ?? (await seed());
  await installation.apply(project.projectId);
  await installation.condition(project.projectId, 'Replaying', 'True', { timeoutMs: 3 * MINUTES });
  return project;
}

async function podsOf(component: string, namespace = installation.namespace): Promise<string[]> {
  const labelSelector = `app.kubernetes.io/component=${component}`;
  const fieldSelector = 'status.phase=Running';
  const { items } = await installation.client.list(PODS, { namespace, labelSelector, fieldSelector });
  return items.map(({ metadata }) => metadata.name);
}

async function expectAgreement(project: SeededProject): Promise<void> {
  const { missing, different, foreign } = await compareStores(
    installation.databaseUrl,
    project.projectId,
    installation.tables,
  );
  const keys = project.environments.map(({ apiKey }) => `${apiKey}_`);
  const leftOver = foreign.filter((key) => keys.some((start) => key.startsWith(start)));
  expect({ missing, different, leftOver }).toEqual({ missing: [], different: [], leftOver: [] });
}

describe('replay under faults', { timeout: 24 * MINUTES }, () => {
  test('a frozen applier reverts nothing when it resumes with events in flight', async () => {
    const project = await migrate();
    const { node } = installation.cluster;
    const [frozen = ''] = await podsOf('applier');
    const people = Array.from({ length: 60 }, (_, index) => `person ${index}`);
    const writeAll = (plan: string) => Promise.all(people.map((person) => identify(project, person, plan)));
    const burst = writeAll('first');
    node.signal(installation.namespace, frozen, 'applier', 'SIGSTOP');
    try {
      await burst;
      await writeAll('second');
      const areThere = async () => {
        const plans = await Promise.all(people.map((person) => planInEdge(project, person)));
        return plans.every((plan) => plan === 'second');
      };
      // The events that the frozen one had in flight are delivered to the other after the ack deadline.
      await waitFor(areThere, { for: 'the other applier to apply all', timeoutMs: 3 * MINUTES, intervalMs: 250 });
    } finally {
      node.signal(installation.namespace, frozen, 'applier', 'SIGCONT');
    }
    await quiet();
    await expectAgreement(project);
  });

  test('a copy pod frozen for longer than the maximum age of a page reverts nothing', async () => {
    const project = await seedProject(installation.databaseUrl, { identities: 3000, neighbours: 20 });
    const pace = { parallelism: 1, pageSize: 500 };
    await installation.apply(project.projectId, { copy: { ...pace, maxWriteUnitsPerSecond: 150 } });
    const isCopying = async () =>
      ((await installation.migration(project.projectId))?.status.copy?.identitiesRead ?? 0) > 0;
    await waitFor(isCopying, { for: 'the copy to be under way', timeoutMs: 4 * MINUTES, intervalMs: 50 });
    const { node } = installation.cluster;
    const [pod = ''] = await podsOf('copy');
    node.signal(installation.namespace, pod, 'worker', 'SIGSTOP');
    const frozenAt = performance.now();
    try {
      await removeAndCreate(project);
      await waitFor(() => performance.now() - frozenAt > PAGE_MAX_AGE_SECONDS * 1500, {
        for: 'the page to be too old',
      });
      const [left] = await podsOf('copy');
      expect(left).toBe(pod);
    } finally {
      node.signal(installation.namespace, pod, 'worker', 'SIGCONT');
    }
    await installation.apply(project.projectId, { copy: pace });
    await installation.condition(project.projectId, 'Replaying', 'True', { timeoutMs: 3 * MINUTES });
    await quiet();
    await expectAgreement(project);
  });

  test('a killed NATS loses nothing, and writes are served while it is down', async () => {
    const project = await migrate();
    const { nats } = installation.cluster;
    const people = Array.from({ length: 40 }, (_, index) => `person ${index}`);
    for (const [index, person] of people.entries()) {
      if (index === 10) await nats.kill('SIGKILL');
      if (index === 30) await nats.restart();
      await identify(project, person, `plan ${index}`);
    }
    await quiet();
    await expectAgreement(project);
    expect(await planInEdge(project, 'person 20')).toBe('plan 20');
    // A disk that is too busy causes its own gap; NATS causes none.
    expect((await readGaps(nats)).filter(({ reason }) => reason !== 'spoolFailing')).toEqual([]);
  });

  test('writes of projects that are not followed stay in Core, and are applied once they are followed', async () => {
    const [suspended, finished, deleted] = [await seed(), await seed(), await seed()];
    await Promise.all([suspended, finished, deleted].map(migrate));
    const untouched = suspended.neighbour;
    await installation.apply(suspended.projectId, { suspend: true });
    await installation.condition(suspended.projectId, 'Suspended', 'True', { timeoutMs: 3 * MINUTES });
    await installation.apply(finished.projectId, { replay: { windowSeconds: 1 } });
    await installation.condition(finished.projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
    await installation.delete(deleted.projectId);
    const all = [suspended, finished, deleted, untouched];
    for (const project of all) await identify(project, 'latecomer', 'gold');
    await quiet();
    const documents = () => Promise.all(all.map((project) => planInEdge(project, 'latecomer')));
    expect(await documents()).toEqual([undefined, undefined, undefined, undefined]);
    await installation.apply(suspended.projectId, { suspend: false });
    const isThere = async () => (await planInEdge(suspended, 'latecomer')) === 'gold';
    await waitFor(isThere, { for: 'the suspended one to be followed', timeoutMs: 3 * MINUTES, intervalMs: 250 });
    await quiet();
    expect(await documents()).toEqual(['gold', undefined, undefined, undefined]);
    await expectAgreement(suspended);
  });
});

/** Of the first identities by identifier, which the copy has in flight, a third is deleted and a third recreated. */
async function removeAndCreate(project: SeededProject): Promise<void> {
  const path = `environments/${keyOf(project)}/identities/`;
  const [base = ''] = await installation.coreApis();
  const headers = { authorization: `Token ${CORE_API.adminToken}` };
  const response = await fetch(`${base}/api/v1/${path}?page_size=999`, { headers });
  const { results } = (await response.json()) as { results: { id: number; identifier: string }[] };
  for (const [index, { id, identifier }] of results.entries()) {
    if (index % 10 > 1) continue;
    const removal = { route: 'remove', method: 'DELETE', path: `${path}${id}/` };
    expect(await clients.send(removal)).toBe('acknowledged');
    if (index % 10 === 1) await identify(project, identifier, 'anew');
  }
}
