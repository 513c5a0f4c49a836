import { hash, randomUUID } from 'node:crypto';
import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { coverageSubject, streamSettings } from '@edge-migration/contract/streams/events.ts';
import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { type Core, openCore } from '@edge-migration/identity/core/core.ts';
import { insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { type NatsWithAccounts, startNatsWithAccounts } from '@edge-migration/test/cluster/nats-accounts.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { CoreApiPod } from '../coverage/decide.ts';
import { createDepartures, type Departures } from './departures.ts';
import type { CaptureFact } from './facts.ts';
import { ReportedStream } from './reported-stream.ts';
import type { StreamView } from './stream.ts';
import { createRecordStore } from './stream-record.ts';
import { createNamespace } from './testing/namespace.ts';

let nats: NatsWithAccounts;
let database: TestDatabase;
let core: Core;
let client: KubernetesClient;
const namespace = `stream-view-${randomUUID().slice(0, 8)}`;
beforeAll(async () => {
  [nats, database] = await Promise.all([startNatsWithAccounts(), createDatabase()]);
  client = await createNamespace(namespace);
  await insertRows(database.url, {
    organisations_organisation: [{ id: 1 }],
    projects_project: [{ id: 41 }, { id: 42 }],
    environments_environment: [
      { id: 1, project_id: 42, api_key: 'client-key' },
      { id: 2, project_id: 41, api_key: 'of-another-project' },
    ],
    environments_environmentapikey: [
      { environment_id: 1, key: 'ser.secret', name: 'server', active: true, created_at: '2026-01-01T00:00:00Z' },
    ],
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});
afterAll(async () => {
  await nats?.stop();
  await core?.close();
  await client?.close();
  await database?.drop();
});

type Observed = Extract<CaptureFact, { kind: 'observed' }>;

const settings = z.object({ ...natsSettings, ...streamSettings });

interface ViewSettings {
  /** How far its clock is ahead. */
  ahead?: number;
  departures?: Departures;
  /** After which a sidecar counts as silent; short for a test that waits for that. */
  freshSeconds?: number;
}

/** The view of one operator process, and how to end it. */
function openView(
  pods: () => CoreApiPod[] | undefined,
  { ahead = 0, departures, freshSeconds = 3 }: ViewSettings = {},
): StreamView & AsyncDisposable {
  const stopping = new AbortController();
  const view = new ReportedStream({
    nats: settings.parse({ natsServers: nats.urlOf('operator'), streamMaxBytes: 64 * 1024 ** 2 }),
    pods,
    departures,
    staticCount: 0,
    freshSeconds,
    readProjects: core.projects.ofScopes,
    usage: {
      readEnvironments: core.environments.refer,
      isMigrated: (projectId) => projectId === 42,
    },
    clock: { ...systemClock, now: () => Date.now() + ahead },
    record: createRecordStore(client, namespace),
    neededSince: () => undefined,
    logger: createLogger('test', 'silent'),
  });
  const running = view.run(stopping.signal);
  return Object.assign(view, {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  });
}

function observed(view: StreamView): Observed | undefined {
  const capture = view.capture();
  return capture.kind === 'observed' ? capture : undefined;
}

async function report(
  podName: string,
  allSentUntil: string,
  gaps: CoverageReport['gaps'] = [],
  time = Date.now(),
  usage?: CoverageReport['usage'],
): Promise<void> {
  const now = new Date(time).toISOString();
  const text: CoverageReport = {
    version: 1,
    instance: `${podName}/uid-${podName}`,
    podUid: `uid-${podName}`,
    podName,
    namespace: 'flagsmith',
    node: 'node-1',
    release: '0.1.0',
    startedTime: now,
    time: now,
    spoolDepth: 3,
    spoolBytes: 300,
    oldestUnsentTime: allSentUntil,
    allSentUntil,
    gaps,
    probe: { sequence: 1, time: now },
    goodbye: false,
    usage,
  };
  const connection = await connect({ servers: nats.url });
  await jetstream(connection, { timeout: 60_000 }).publish(coverageSubject(text.podUid), JSON.stringify(text));
  await connection.close();
}

test('coverage is unknown, not missing, while the Core API pods are not listed', async () => {
  await using view = openView(() => undefined);
  const capture = await waitFor(
    () => {
      const found = view.capture();
      return 'reason' in found && found.reason !== 'StreamUnreachable' && found;
    },
    { for: 'the stream to be read' },
  );
  expect(capture).toMatchObject({ kind: 'unknown', reason: 'CoreApiNotListed' });
});

test('the gap of a sidecar that left with its pod ends once, for all operators and later readers', async () => {
  const from = new Date(Date.now() - 60_000).toISOString();
  const ended = (view: StreamView) =>
    waitFor(
      () => {
        const [gap] = observed(view)?.gaps ?? [];
        return gap?.until !== undefined && observed(view)?.speaking.length === 0 && gap;
      },
      { for: 'the gap to end', timeoutMs: 120_000 },
    );
  await using first = openView(() => []);
  await waitFor(() => observed(first), { for: 'the streams' });
  await report('gone', from);
  const closed = await waitFor(
    async () => {
      const [one, two] = [await ended(first), await ended(first)];
      await using later = openView(() => []);
      const three = await ended(later);
      return one.until === two.until && two.until === three.until && three;
    },
    { for: 'two operators to see the same end', timeoutMs: 120_000, intervalMs: 2_500 },
  );
  expect(closed).toMatchObject({ podName: 'gone', reason: 'sidecarVanished', from: Date.parse(from) });
  expect(observed(first)?.gaps).toHaveLength(1);
});

test("the counts of sidecars are assigned to the environment's project, by its client key and by its server keys", async () => {
  await using view = openView(() => []);
  await waitFor(() => observed(view), { for: 'the streams' });
  const now = new Date().toISOString();
  const date = now.slice(0, 10);
  const counted = { writes: 3, reads: 2, lastWrite: now, lastRead: now };
  const of = (environment: EnvironmentReference, client: string) => ({
    environment,
    ...counted,
    clients: [[client, 3, 2] satisfies [string, number, number]],
  });
  const serverKeySha256 = hash('sha256', 'ser.secret', 'hex');
  const environments = [
    of({ clientKey: 'client-key' }, 'flagsmith-js-sdk/9.3.1'),
    of({ serverKeySha256 }, 'flagsmith-python-sdk/3.9.2'),
    of({ clientKey: 'of-another-project' }, 'browser'),
    of({ clientKey: 'invented' }, 'browser'),
  ];
  await report('counting', now, [], Date.now(), { since: now, complete: true, days: [{ date, environments }] });
  const usage = await waitFor(() => view.usage(42)?.days[0], { for: 'the counts', timeoutMs: 120_000 });
  expect(usage).toEqual({
    date,
    writes: 6,
    reads: 4,
    lastWrite: Date.parse(now),
    lastRead: Date.parse(now),
    rows: [
      { environment: 1, client: 'flagsmith-js-sdk/9.3.1', writes: 3, reads: 2 },
      { environment: 1, client: 'flagsmith-python-sdk/3.9.2', writes: 3, reads: 2 },
    ],
  });
  expect(view.usage(41)?.days).toEqual([]);
});

test('a silent sidecar of a present pod holds back what counts as sent: it may send the rest when it wakes', async () => {
  const until = new Date(Date.now() - 60_000).toISOString();
  await using view = openView(() => [{ uid: 'uid-frozen', name: 'frozen', ready: true }]);
  await waitFor(() => observed(view), { for: 'the streams' });
  await report('frozen', until);
  const seen = await waitFor(
    () => {
      const capture = observed(view);
      return (
        capture?.gaps.some((gap) => gap.podName === 'frozen' && gap.reason === 'sidecarVanished') &&
        capture.speaking.length === 0 &&
        capture
      );
    },
    { for: 'its silence to be noticed', timeoutMs: 120_000 },
  );
  expect(seen).toMatchObject({ covered: false, speaking: [], allSentUntil: Date.parse(until) });
});

test('a pod whose sidecar never reached NATS holds back what counts as sent, and is named', async () => {
  const runningTime = new Date(Date.now() - 600_000).toISOString();
  await using view = openView(() => [{ uid: 'uid-unheard', name: 'unheard', ready: true, runningTime }]);
  const seen = await waitFor(() => observed(view), { for: 'the streams' });
  expect(seen.allSentUntil).toBe(Date.parse(runningTime));
  expect(seen.laggard).toMatch(/^pod unheard/);
});

test('a pod that came and went without a sidecar between two reads is a gap for every operator from then on', async () => {
  const runningTime = new Date(Date.now() - 40_000).toISOString();
  const departures = createDepartures(systemClock, 'flagsmith');
  const previous = { uid: 'uid-brief', name: 'brief', ready: true, runningTime };
  departures.notice({ type: 'deleted', key: 'flagsmith/brief', previous });
  const find = (view: StreamView) => observed(view)?.gaps.find(({ podName }) => podName === 'brief');
  const seen = async (view: StreamView) =>
    waitFor(() => find(view), { for: 'the gap of the pod that has gone', timeoutMs: 120_000 });
  await using view = openView(() => [], { departures });
  const gap = await seen(view);
  expect(gap).toMatchObject({ reason: 'noSidecar', from: Date.parse(runningTime) });
  expect(gap.until).toBeGreaterThan(Date.parse(runningTime));
  expect(departures.findUnheard([])).toEqual([]);
  await using another = openView(() => []);
  expect(await seen(another)).toEqual(gap);
});

test('a gap degrades the projects that it names, and all projects only if Core does not know the name', async () => {
  const at = new Date(Date.now() - 1000).toISOString();
  const gapOf = (reason: 'bodyTooLarge' | 'spoolFull', clientKey: string) => ({
    from: at,
    until: reason === 'spoolFull' ? null : at,
    reason,
    scope: [{ clientKey }],
  });
  await using view = openView(() => [{ uid: 'uid-named', name: 'named', ready: true }], { freshSeconds: 120 });
  await waitFor(() => observed(view), { for: 'the streams' });
  const keep = setInterval(
    () => void report('named', at, [gapOf('spoolFull', 'client-key'), gapOf('bodyTooLarge', 'unknown')]),
    500,
  );
  try {
    const reasons = (projectId: number) => {
      const capture = view.capture(projectId);
      if (capture.kind !== 'observed') return undefined;
      const gaps = capture.gaps.filter(({ podName, reason }) => podName === 'named' && reason !== 'noSidecar');
      return gaps.length === 0 ? undefined : { covered: capture.covered, reasons: gaps.map(({ reason }) => reason) };
    };
    await waitFor(() => reasons(42), { for: 'the report to be read' });
    expect(reasons(42)).toEqual({ covered: false, reasons: ['spoolFull', 'bodyTooLarge'] });
    expect(reasons(41)).toEqual({ covered: true, reasons: ['bodyTooLarge'] });
  } finally {
    clearInterval(keep);
  }
});

test.for<[number, number]>([
  [300_000, 0],
  [-300_000, 0],
  [0, 300_000],
  [0, -300_000],
  [300_000, -300_000],
])('an operator %i ms ahead follows the reports of a sidecar that is %i ms ahead', async ([ahead, sidecarAhead]) => {
  const name = `skewed-${ahead}-${sidecarAhead}`;
  await using view = openView(() => [{ uid: `uid-${name}`, name, ready: true }], { ahead });
  await waitFor(() => observed(view), { for: 'the streams' });
  const start = Date.now() - 60_000;
  const at = (time: number) => new Date(time + sidecarAhead).toISOString();
  const gap = { from: at(start), until: at(start + 1_000), reason: 'bodyTooLarge', scope: null } as const;
  const keep = setInterval(() => void report(name, at(Date.now()), [gap], Date.now() + sidecarAhead), 500);
  const ownGap = () =>
    observed(view)?.gaps.find(({ podName, reason }) => podName === name && reason === 'bodyTooLarge');
  try {
    const isSeen = () => view.clocks().some(({ process }) => process.includes(name)) && ownGap();
    const { from, until } = await waitFor(isSeen, { for: 'its reports' });
    expect(from).toBeLessThanOrEqual(start);
    expect(until).toBeGreaterThanOrEqual(start + 1_000);
    // At most one report's way later than now: otherwise it would be a gap in the future.
    expect(from).toBeGreaterThan(start - 310_000);
    // A report that was long on its way says less, until the next one.
    const isFollowed = () => {
      const { covered, speaking } = observed(view) ?? {};
      const clocks = new Map(view.clocks().map((clock) => [clock.process, clock.ahead]));
      const errors = [
        view.now()! - Date.now(),
        clocks.get(`the sidecar of pod ${name}`)! - sidecarAhead,
        clocks.get('the operator')! - ahead,
      ];
      return covered === true && speaking?.join() === name && errors.every((error) => Math.abs(error) < 2_000);
    };
    await waitFor(isFollowed, { for: 'its reports to be taken by the right clocks' });
  } finally {
    clearInterval(keep);
  }
  // From now on it is silent, which is noticed as soon as with equal clocks.
  await waitFor(() => observed(view)?.speaking.length === 0, { for: 'its silence', timeoutMs: 120_000 });
});
