import { request as httpRequest } from 'node:http';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import type { WriteEvent } from '@edge-migration/identity/write-event.ts';
import { createCapture, type FlagsmithCapture } from '@edge-migration/replay-sidecar/capture/capture.ts';
import { createProxy, type ReverseProxy } from '@edge-migration/replay-sidecar/capture/proxy/proxy.ts';
import {
  drain,
  eventOf,
  type Folder,
  openSpool,
  type TestSpool,
  temporaryFolder,
} from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import { createMetrics } from '@edge-migration/replay-sidecar/metrics.ts';
import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { type Api, startApi } from '../core/api/server.ts';
import { seedProject } from '../core/seed.ts';
import { adminRequests } from './route-coverage/admin-requests.ts';
import type { Request } from './route-coverage/request.ts';
import { changesOf, type Rows, readRows, uncovered } from './route-coverage/rows.ts';
import { sdkRequests } from './route-coverage/sdk-requests.ts';

let database: TestDatabase;
let client: Client;
let api: Api;
let proxy: ReverseProxy;
let port: number;
let folder: Folder;
let spool: TestSpool;
let capture: FlagsmithCapture;
let projectId: number;

beforeAll(async () => {
  database = await createDatabase();
  ({ projectId } = await seedProject(database.url, { identities: 14, neighbours: 7 }));
  client = new Client({ connectionString: database.url });
  await client.connect();
  api = await startApi({ databaseUrl: database.url, acceptFaults: true });
  folder = temporaryFolder();
  spool = await openSpool(folder.path, { clock: systemClock as TestSpool['clock'] });
  const logger = createLogger('route-coverage', 'silent');
  capture = createCapture({ spool: spool.spool, clock: systemClock, log: logger, readWindowMillis: 0 });
  proxy = createProxy({
    upstream: { host: '127.0.0.1', port: api.port },
    capture,
    clock: systemClock,
    logger,
    metrics: createMetrics(),
  });
  ({ port } = await proxy.listen({ host: '127.0.0.1', port: 0 }));
});

afterAll(async () => {
  await proxy?.stop(1000);
  await api?.close();
  await spool?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
  await client?.end();
  await database?.drop();
});

/** The status, or undefined when the connection broke. */
function send({ method, target, headers, body }: Request): Promise<number | undefined> {
  return new Promise((resolve) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = httpRequest(
      { port, method, path: target, agent: false, headers: { ...headers, ...length } },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('error', () => resolve(undefined));
    request.end(body);
  });
}

/** Sends one request and compares Core before and after with the events that it left. */
async function observe(makeRequest: (rows: Rows) => Request, until = async () => true) {
  const before = await readRows(client);
  const request = makeRequest(before);
  const gapsBefore = capture.counts.uncovered;
  const status = await send(request);
  await waitFor(async () => spool.spool.facts().open === 0 && (await until()), { for: 'the change', intervalMs: 1 });
  const events: WriteEvent[] = (await drain(spool.spool)).map(eventOf);
  const after = await readRows(client);
  const changes = changesOf(before, after);
  const missed = changes.flatMap((change) => uncovered(change, events));
  return { request, status, events, changes, missed, gaps: capture.counts.uncovered - gapsBefore };
}

/** Nothing but its answer says whose override a state's id is; without one that is a gap. */
function mayBeUnnamed({ target }: Request, status: number | undefined): boolean {
  return target.startsWith('/api/v1/features/featurestates/') && (status === undefined || status >= 500);
}

const SETTINGS = [
  'UPDATE environments_environment SET allow_client_traits = NOT allow_client_traits WHERE id % 3 = 0',
  'UPDATE environments_environment SET hide_sensitive_data = NOT hide_sensitive_data WHERE id % 2 = 0',
  'UPDATE organisations_organisation SET persist_trait_data = true',
  'UPDATE organisations_organisation SET persist_trait_data = true',
  'UPDATE organisations_organisation SET persist_trait_data = false',
];
const anyRequest = fc.oneof(...sdkRequests, ...adminRequests);
const settings = fc.option(fc.constantFrom(...SETTINGS), { freq: 14, nil: undefined });

describe('every change of Core', () => {
  it('is in an event, whatever the request was and however it ended', { timeout: 300_000 }, async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(anyRequest, settings, async (makeRequest, setting) => {
        if (setting !== undefined) await client.query(setting);
        const { request, status, events, changes, missed, gaps } = await observe(makeRequest);
        if (gaps > 0) expect(mayBeUnnamed(request, status)).toBe(true);
        else if (missed.length > 0)
          throw new Error(`Not covered: ${JSON.stringify({ missed, status, request, events, changes })}`);
        if (changes.length > 0) for (const { route } of events) seen.add(route);
      }),
      { numRuns: 600, endOnFailure: true },
    );
    // The run is worth something only if it went through the routes.
    expect(seen.size).toBeGreaterThan(15);
    expect(spool.spool.gaps.list().filter(({ reason }) => reason === 'captureFailed')).toEqual([]);
  });

  it('is in an event that is handled again later, when a background task makes it', { timeout: 60_000 }, async () => {
    const headers = { authorization: 'Token admin-token' };
    const [environment] = (
      await client.query(
        `SELECT id, api_key FROM environments_environment
         WHERE project_id = $1 AND deleted_at IS NULL AND NOT use_v2_feature_versioning`,
        [projectId],
      )
    ).rows;
    const isVersioned = async () =>
      (
        await client.query('SELECT use_v2_feature_versioning v FROM environments_environment WHERE id = $1', [
          environment.id,
        ])
      ).rows[0].v;
    for (const [action, done] of [
      ['enable', isVersioned],
      ['disable', async () => !(await isVersioned())],
    ] as const) {
      const target = `/api/v1/environments/${environment.api_key}/${action}-v2-versioning/`;
      const { missed, events } = await observe(() => ({ method: 'POST', target, headers, body: undefined }), done);
      expect(missed).toEqual([]);
      expect(events.map(({ outcome }) => outcome)).toEqual(['background']);
    }
    const target = `/api/v1/projects/${projectId}/`;
    const live = new Set((await readRows(client)).environments.map(({ id }) => id));
    const gone = async () =>
      (await readRows(client)).identities.every((identity) => {
        return identity.projectId !== projectId || !live.has(identity.environmentId);
      });
    const { missed, changes, events } = await observe(
      () => ({ method: 'DELETE', target, headers, body: undefined }),
      gone,
    );
    expect(changes.length).toBeGreaterThan(0);
    expect(missed).toEqual([]);
    expect(events.map(({ outcome }) => outcome)).toEqual(['background']);
  });

  it('is in an event that is handled after it, when the client went away before', { timeout: 60_000 }, async () => {
    const LOCK = 4711;
    const [environment] = (await readRows(client)).environments;
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const headers = {
      'x-environment-key': environment?.api_key,
      'x-fixture-fault': `lock-before=${LOCK}`,
      'content-type': 'application/json',
    };
    const request = httpRequest({ port, method: 'POST', path: '/api/v1/identities/', agent: false, headers });
    request.on('error', () => undefined);
    request.end('{"identifier": "gone-before"}');
    // The intent is on disk before the API has all of the request.
    await waitFor(() => spool.spool.facts().open === 1, { for: 'the intent' });
    request.destroy();
    const before = await readRows(client);
    expect(before.identities.map(({ identifier }) => identifier)).not.toContain('gone-before');
    await client.query('SELECT pg_advisory_unlock($1)', [LOCK]);
    const { rows } = await waitFor(
      async () => {
        const found = await client.query(
          `SELECT created_date FROM environments_identity WHERE identifier = 'gone-before'`,
        );
        return found.rowCount === 1 && found;
      },
      { for: 'the commit' },
    );
    await waitFor(() => spool.spool.facts().open === 0, { for: 'the events' });
    const [event] = (await drain(spool.spool)).map(eventOf);
    expect(
      changesOf(before, await readRows(client)).flatMap((change) => uncovered(change, event ? [event] : [])),
    ).toEqual([]);
    const commit = (rows[0].created_date as Date).getTime();
    expect(event?.outcome === 'unknown' || Date.parse(event?.observedTime ?? '') >= commit).toBe(true);
  });
});
