import { systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '../cluster/wait.ts';
import type { SeededProject } from '../core/seed.ts';
import type { Installation } from '../e2e/installation.ts';
import { CORE_API } from '../e2e/replay-parts.ts';
import { type Traits, traitsOf } from '../edge/traits.ts';
import type { Screen } from './screen.ts';

/** Measurements of the demo's replay part. */
export interface ReplayResult {
  /** Writes to Core that were seen on Edge, and the longest delay of one. */
  replayed: number;
  slowestReplaySeconds: number;
  /** Writes after the deadline that still reached Edge. */
  lateWritesInEdge: number;
}

export async function waitForCoreApis(installation: Installation): Promise<void> {
  const areReady = async () => (await installation.coreApis()).length === 2;
  await waitFor(areReady, { for: 'two Core API pods', timeoutMs: 120_000, intervalMs: 250 });
}

/** Writes to Core, through its sidecars, and their way to Edge, until the window closes. */
export async function showReplay(
  screen: Screen,
  installation: Installation,
  seeded: SeededProject,
  signal: AbortSignal,
): Promise<ReplayResult> {
  const key = seeded.environments[0]?.apiKey ?? '';
  const core = createCoreClient(installation, key);
  const delays: number[] = [];
  screen.heading('Apps that still talk to Core are followed: kubectl get em says Replaying');

  async function follow(text: string, write: () => Promise<unknown>, isThere: (traits: Traits | undefined) => boolean) {
    await write();
    const started = systemClock.monotonic();
    const check = async () => isThere(await readTraits(installation, `${key}_ada@example.com`));
    await waitFor(check, { for: text, timeoutMs: 60_000, intervalMs: 50, signal });
    const seconds = (systemClock.monotonic() - started) / 1000;
    delays.push(seconds);
    screen.line(`${text.padEnd(46)} in Edge after ${seconds.toFixed(2)} s`);
  }

  await follow(
    'POST identities/ ada@example.com plan=free',
    () => core.identify({ plan: 'free', age: 36 }),
    (traits) => traits?.['plan'] === 'free',
  );
  await follow(
    'plan=gold, age removed',
    () => core.identify({ plan: 'gold', age: null }),
    (traits) => traits?.['plan'] === 'gold' && !('age' in traits),
  );
  await follow(
    'DELETE of the identity',
    () => core.remove(),
    (traits) => traits === undefined,
  );
  await follow(
    'POST again',
    () => core.identify({ plan: 'new' }),
    (traits) => traits?.['plan'] === 'new',
  );
  const lag = (await installation.migration(seeded.projectId))?.status.replay?.lag ?? '0s';
  screen.line(`status.replay.lag ${lag}`);

  screen.heading('The window closes (shortened from four weeks to a second)');
  await installation.apply(seeded.projectId, { replay: { windowSeconds: 1 } });
  await screen.step('everything written before it is in Edge: Succeeded=True', () =>
    installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 120_000 }),
  );
  await core.identify({ plan: 'too late' });
  // The applier drops everything after the deadline; once it has counted that, nothing more can come.
  const isDropped = async () => core.isStored();
  await waitFor(isDropped, { for: 'Core to have the late write', signal });
  const late = (await readTraits(installation, `${key}_ada@example.com`))?.['plan'] === 'too late';
  screen.line(`a write after it: in Core, ${late ? 'and in Edge, which is wrong' : 'not in Edge'}`);
  screen.quote(await installation.cluster.kubectl(['get', 'em', '-A']));
  return {
    replayed: delays.length,
    slowestReplaySeconds: Math.round(Math.max(...delays) * 100) / 100,
    lateWritesInEdge: late ? 1 : 0,
  };
}

function createCoreClient(installation: Installation, key: string) {
  let next = 0;

  async function send(method: string, path: string, body?: object): Promise<Response> {
    const apis = await installation.coreApis();
    const headers = {
      'content-type': 'application/json',
      'x-environment-key': key,
      authorization: `Token ${CORE_API.adminToken}`,
    };
    const response = await fetch(`${apis[next++ % apis.length]}/api/v1/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  async function find(): Promise<number | undefined> {
    const found = await send('GET', `environments/${key}/identities/?q=ada@example.com`);
    const { results } = (await found.json()) as { results: { id: number; identifier: string }[] };
    return results.find(({ identifier }) => identifier === 'ada@example.com')?.id;
  }

  return {
    identify(traits: Traits) {
      const list = Object.entries(traits).map(([trait_key, trait_value]) => ({ trait_key, trait_value }));
      return send('POST', 'identities/', { identifier: 'ada@example.com', traits: list });
    },
    remove: async () => send('DELETE', `environments/${key}/identities/${await find()}/`),
    isStored: async () => (await find()) !== undefined,
  };
}

async function readTraits({ tables }: Installation, compositeKey: string): Promise<Traits | undefined> {
  const document = await tables.get(compositeKey);
  return document && traitsOf(document);
}
