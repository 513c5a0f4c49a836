/** Sidecar and applier as processes whose clocks differ by minutes, between real stores, a real stream and a real API server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { COPIED, createHarness, type Harness, written } from './applier/harness.ts';
import { startSidecar } from './sidecar/process.ts';
import { createTraffic } from './sidecar/traffic.ts';

const MINUTE = 60_000;

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

/** Variables of a process whose clock is this far ahead. */
const clockAhead = (milliseconds: number) => ({
  NODE_OPTIONS: `--import ${fileURLToPath(new URL('../faults/shifted-clock.ts', import.meta.url))}`,
  TEST_CLOCK_AHEAD_MS: String(milliseconds),
});

/** A Core API that answers, or breaks the connection. The test decides what is in Core. */
async function startApi() {
  const api = { breaks: false, port: 0 };
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => (api.breaks ? request.socket.destroy() : response.writeHead(200).end('{}')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  api.port = (server.address() as AddressInfo).port;
  return Object.assign(api, {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** The path from a client of Core to Edge, through processes with such clocks. */
async function startWay(clocks: { sidecar: number; applier: number }) {
  const resources = new AsyncDisposableStack();
  const api = resources.use(await startApi());
  const sidecar = resources.use(
    await startSidecar({ natsUrl: on.nats.url, upstreamPort: api.port, env: clockAhead(clocks.sidecar) }),
  );
  const applier = await on.spawn('skewed', clockAhead(clocks.applier));
  resources.defer(() => applier.stop().then(() => undefined));
  const traffic = resources.use(createTraffic(sidecar.port));
  return {
    api,
    write: (id: number, identifier: string) => traffic.write(identifier, { 'X-Environment-Key': `key-${id}` }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function fill(id: number, names: readonly string[]): Promise<void> {
  await on.rows({
    environments_identity: names.map((identifier, index) => ({ id: id * 100 + index, identifier, environment_id: id })),
  });
}

const setDeadline = (id: number, time: number) =>
  on.migrate(id, {}, COPIED, { replay: { deadline: new Date(time).toISOString() } });

const isInEdge = async (id: number, identifier: string) => (await on.document(`key-${id}`, identifier)) !== undefined;

const projectsOf = async (id: number) =>
  (await on.reports()).flatMap(({ projects }) => projects).filter(({ projectId }) => projectId === id);

const sum = (counts: readonly number[]) => counts.reduce((one, other) => one + other, 0);

const dropped = async (id: number) =>
  sum((await projectsOf(id)).map((project) => project.dropped['windowClosed'] ?? 0));

const applied = async (id: number) => sum((await projectsOf(id)).flatMap((project) => Object.values(project.applied)));

test('the last minutes of the window are followed, and nothing later, although the sidecar is five minutes ahead', {
  timeout: 600_000,
}, async () => {
  await on.project(1);
  await fill(1, ['ann', 'bob']);
  await using way = await startWay({ sidecar: 5 * MINUTE, applier: -5 * MINUTE });
  await setDeadline(1, Date.now() + 2 * MINUTE);
  expect(await way.write(1, 'ann')).toMatchObject({ status: 200 });
  await waitFor(() => isInEdge(1, 'ann'), { for: 'the write to be in Edge', timeoutMs: 3 * MINUTE });
  await setDeadline(1, Date.now() - 1000);
  // The applier may learn of it late.
  let asked = 0;
  const isKnown = async () => {
    await on.publish(written(1, 'nobody'));
    asked += 1;
    return (await dropped(1)) > 0;
  };
  await waitFor(isKnown, { for: 'the deadline to be known', timeoutMs: 3 * MINUTE, intervalMs: 500 });
  const areReported = async () => (await applied(1)) + (await dropped(1)) > asked;
  await waitFor(areReported, { for: 'all of these to be reported' });
  const before = await dropped(1);
  expect(await way.write(1, 'bob')).toMatchObject({ status: 200 });
  await waitFor(async () => (await dropped(1)) > before, {
    for: 'the late write to be dropped',
    timeoutMs: 3 * MINUTE,
  });
  expect(await isInEdge(1, 'bob')).toBe(false);
});

test("a write without an answer is handled once more after the API's time limit, although the clocks are 140 s apart", {
  timeout: 600_000,
}, async () => {
  await on.project(2);
  await on.migrate(2);
  await using way = await startWay({ sidecar: -70_000, applier: 70_000 });
  way.api.breaks = true;
  await way.write(2, 'cid');
  await waitFor(async () => (await applied(2)) >= 1, { for: 'the first handling', timeoutMs: 3 * MINUTE });
  // The API commits after all.
  await fill(2, ['cid']);
  await waitFor(() => isInEdge(2, 'cid'), { for: 'the second handling', timeoutMs: 4 * MINUTE });
});
