import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { type Traits, traitsOf } from '../edge/traits.ts';
import { compareStores } from './comparison.ts';
import { install } from './install.ts';
import { CORE_API } from './replay-parts.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
/** The Python SDK's user agent. */
const SDK = 'flagsmith-python-sdk/3.9.2';
let installation: Target;
let seeded: SeededProject;
let key: string;
let next = 0;

beforeAll(async () => {
  installation = await install({ pageMaxAgeSeconds: 8, replay: true });
  seeded = await seedProject(installation.databaseUrl, { identities: 2_000, neighbours: 20 });
  key = seeded.environments[0]?.apiKey ?? '';
});

afterAll(() => installation?.stop());

/** Requests the Core API pods in turn, through their sidecars. */
async function send(method: string, path: string, body?: object, admin = false): Promise<Response> {
  const ready = async () => {
    const found = (await installation.coreApis()).slice(0, 2);
    return found.length > 0 && found;
  };
  const apis = await waitFor(ready, {
    for: 'the Core API',
    timeoutMs: 4 * MINUTES,
  });
  const base = apis[next++ % apis.length] ?? '';
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-environment-key': key,
    'user-agent': SDK,
  };
  if (admin) headers['authorization'] = `Token ${CORE_API.adminToken}`;
  return fetch(`${base}/api/v1/${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const identify = async (identifier: string, traits: Record<string, unknown>) => {
  const list = Object.entries(traits).map(([trait_key, trait_value]) => ({ trait_key, trait_value }));
  expect((await send('POST', 'identities/', { identifier, traits: list })).status).toBe(200);
};

/** Like clients that repeat an unanswered write. */
const identifyInTheEnd = (identifier: string, traits: Record<string, unknown>) =>
  waitFor(() => identify(identifier, traits).then(() => true), { for: 'an answer', timeoutMs: 4 * MINUTES });

async function traitsInEdge(identifier: string): Promise<Traits | undefined> {
  const document = await installation.tables.get(`${key}_${identifier}`);
  return document && traitsOf(document);
}

const untilEdge = (identifier: string, isRight: (traits: Traits | undefined) => boolean, what: string) =>
  waitFor(async () => isRight(await traitsInEdge(identifier)), { for: what, timeoutMs: 4 * MINUTES, intervalMs: 200 });

describe('a migration with capture', { timeout: 12 * MINUTES }, () => {
  test('does not replay writes of a project without an EdgeMigration', async () => {
    await waitFor(async () => (await installation.coreApis()).length === 2, {
      for: 'both Core API pods',
      timeoutMs: 4 * MINUTES,
    });
    await identify('early bird', { plan: 'free' });
    expect(await traitsInEdge('early bird')).toBeUndefined();
  });

  test('copies once every Core API pod is covered, and follows writes made meanwhile', async () => {
    await installation.apply(seeded.projectId);
    await installation.condition(seeded.projectId, 'Capturing', 'True', { timeoutMs: 4 * MINUTES });
    await identify('during the copy', { plan: 'gold' });
    const { status } = await installation.condition(seeded.projectId, 'Replaying', 'True', { timeoutMs: 6 * MINUTES });
    expect(status.replay?.deadline).toBeDefined();
    expect(status.conditions?.find(({ type }) => type === 'Succeeded')?.status).toBe('Unknown');
    await untilEdge('during the copy', (traits) => traits?.['plan'] === 'gold', 'the write to be in Edge');
    expect((await traitsInEdge('early bird'))?.['plan']).toBe('free');
  });

  test('replays new identities, changed and removed traits, and deletions', async () => {
    await identify('ada', { plan: 'free', age: 36 });
    await untilEdge('ada', (traits) => traits?.['age'] === '36', 'a new identity');
    await identify('ada', { plan: 'gold', age: null });
    await untilEdge('ada', (traits) => traits?.['plan'] === 'gold' && !('age' in traits), 'changed and removed traits');
    const found = await send('GET', `environments/${key}/identities/?q=ada`, undefined, true);
    const { results } = (await found.json()) as { results: { id: number; identifier: string }[] };
    const id = results.find(({ identifier }) => identifier === 'ada')?.id;
    expect((await send('DELETE', `environments/${key}/identities/${id}/`, undefined, true)).status).toBe(204);
    await untilEdge('ada', (traits) => traits === undefined, 'the deletion');
  });

  test('reports which clients still write through Core, in its status and per day', async () => {
    const environment = seeded.environments[0]?.id;
    const said = await waitFor(
      async () => {
        const { stillOnCore } = (await installation.condition(seeded.projectId, 'Copied', 'True')).status.replay ?? {};
        return stillOnCore?.state === 'Writing' && stillOnCore;
      },
      { for: 'the clients', timeoutMs: 4 * MINUTES, intervalMs: 1_000 },
    );
    expect(said.clients?.map(({ name }) => name)).toEqual([SDK]);
    expect(said.environments?.map(({ id }) => id)).toEqual([environment]);
    const name = said.reportName ?? '';
    const text = await installation.kubectl(['get', 'configmap', name, '-n', installation.namespace, '-o=json']);
    const { data } = JSON.parse(text) as { data: { 'series.json': string } };
    const { days } = JSON.parse(data['series.json']) as { days: { rows: unknown[] }[] };
    expect(days.at(-1)?.rows).toEqual([expect.objectContaining({ environment, client: SDK })]);
  });

  test('keeps events while it is suspended, and applies them when it is resumed', async () => {
    await installation.apply(seeded.projectId, { suspend: true });
    await installation.condition(seeded.projectId, 'Suspended', 'True');
    await identify('sleeper', { plan: 'gold' });
    await installation.apply(seeded.projectId, { suspend: false });
    await untilEdge('sleeper', (traits) => traits?.['plan'] === 'gold', 'the event to come back');
  });

  test('loses nothing when appliers and sidecars are killed', async () => {
    const { kubectl } = installation;
    const pods = async (namespace: string, selector: string) =>
      (await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o=jsonpath={.items[*].metadata.name}'])).split(
        ' ',
      );
    for (let round = 0; round < 20; round++) {
      await identifyInTheEnd(`burst ${round}`, { round });
      if (round === 5) {
        const [applier = ''] = await pods(installation.namespace, 'app.kubernetes.io/component=applier');
        await installation.kill(installation.namespace, applier, 'applier');
      }
      if (round === 10) {
        const [api = ''] = await pods(CORE_API.namespace, CORE_API.selector);
        await installation.kill(CORE_API.namespace, api, 'edge-migration-capture');
        // Kubernetes restarts the container; until then the API behind it is unreachable.
        await waitFor(async () => (await installation.coreApis()).length === 2, {
          for: 'the sidecar to be back',
          timeoutMs: 4 * MINUTES,
        });
      }
    }
    const isThere = async () => {
      const { missing, different } = await compareStores(
        installation.databaseUrl,
        seeded.projectId,
        installation.tables,
      );
      return missing.length === 0 && different.length === 0;
    };
    await waitFor(isThere, { for: 'Edge to agree with Core', timeoutMs: 4 * MINUTES, intervalMs: 1_000 });
  });

  test('ends at the deadline: earlier writes are in Edge, later writes stay in Core', async () => {
    await identify('last minute', { plan: 'gold' });
    await installation.apply(seeded.projectId, { replay: { windowSeconds: 1 } });
    const { status } = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 6 * MINUTES });
    expect(status.conditions?.find(({ type }) => type === 'Succeeded')?.reason).toBe('WindowClosed');
    expect((await traitsInEdge('last minute'))?.['plan']).toBe('gold');
    await identify('too late', { plan: 'gold' });
    const dropped = async () => {
      const found = await fetch(`${(await installation.coreApis())[0]}/api/v1/identities/?identifier=too%20late`, {
        headers: { 'x-environment-key': key },
      });
      return found.ok;
    };
    await waitFor(dropped, { for: 'Core to have it' });
    expect(await traitsInEdge('too late')).toBeUndefined();
  });
});
