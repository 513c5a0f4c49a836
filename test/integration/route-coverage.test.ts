import { request as httpRequest } from 'node:http';
import { areAllEnded } from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { type Api, startApi } from '../core/api/server.ts';
import { seedProject } from '../core/seed.ts';
import { adminRequests } from './route-coverage/admin-requests.ts';
import { changesOf, readSpreadRows, uncovered } from './route-coverage/rows.ts';
import { sdkRequests } from './route-coverage/sdk-requests.ts';
import { createStage, type Stage } from './route-coverage/stage.ts';

let database: TestDatabase;
let stage: Stage;
let api: Api;
let projectId: number;

beforeAll(async () => {
  database = await createDatabase();
  ({ projectId } = await seedProject(database.url, { identities: 14, neighbours: 7 }));
  api = await startApi({ databaseUrl: database.url, acceptFaults: true });
  stage = await createStage(database.url, api.port);
});

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await api?.close();
  await database?.drop();
});

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
  it('is in an event, for any request and any outcome', { timeout: 600_000 }, async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(anyRequest, settings, async (makeRequest, setting) => {
        if (setting !== undefined) await stage.client.query(setting);
        const { request, status, events, changes, missed, gaps } = await stage.observe(makeRequest);
        // For a trait whose key could not be looked up, Edge's copy is indistinguishable from an Edge client's own.
        const isNamed = events.every(({ touched }) => touched.traits !== 'all');
        // Without a change there may be none: Core refuses such a caller.
        expect(gaps).toBeLessThanOrEqual(isNamed ? 0 : 1);
        if (!isNamed && changes.length > 0) expect(gaps).toBe(1);
        if (missed.length > 0)
          throw new Error(`Not covered: ${JSON.stringify({ missed, status, request, events, changes })}`);
        if (changes.length > 0) for (const { route } of events) seen.add(route);
      }),
      { numRuns: 600, endOnFailure: true },
    );
    // The run is only meaningful if it exercised the routes.
    expect(seen.size).toBeGreaterThan(15);
    expect(stage.spool.gaps.list().filter(({ reason }) => reason === 'captureFailed')).toEqual([]);
  });

  it('is in an event that is handled again later when a background task makes it', { timeout: 600_000 }, async () => {
    const headers = { authorization: 'Token admin-token' };
    const [environment] = (
      await stage.client.query(
        `SELECT id, api_key FROM environments_environment
         WHERE project_id = $1 AND deleted_at IS NULL AND NOT use_v2_feature_versioning`,
        [projectId],
      )
    ).rows;
    const isVersioned = async () =>
      (
        await stage.client.query('SELECT use_v2_feature_versioning v FROM environments_environment WHERE id = $1', [
          environment.id,
        ])
      ).rows[0].v;
    for (const [action, done] of [
      ['enable', isVersioned],
      ['disable', async () => !(await isVersioned())],
    ] as const) {
      const target = `/api/v1/environments/${environment.api_key}/${action}-v2-versioning/`;
      const { missed, events } = await stage.observe(
        () => ({ method: 'POST', target, headers, body: undefined }),
        done,
      );
      expect(missed).toEqual([]);
      expect(events.map(({ outcome }) => outcome)).toEqual(['background']);
    }
    const target = `/api/v1/projects/${projectId}/`;
    const live = new Set((await stage.rows()).environments.map(({ id }) => id));
    const gone = async () =>
      (await stage.rows()).identities.every((identity) => {
        return identity.projectId !== projectId || !live.has(identity.environmentId);
      });
    const { missed, changes, events } = await stage.observe(
      () => ({ method: 'DELETE', target, headers, body: undefined }),
      gone,
    );
    expect(changes.length).toBeGreaterThan(0);
    expect(missed).toEqual([]);
    expect(events.filter(({ outcome }) => outcome !== 'background')).toEqual([]);
  });

  it('is in an event that is handled after it when the client disconnected earlier', { timeout: 600_000 }, async () => {
    const LOCK = 4711;
    const [environment] = (await stage.rows()).environments;
    await stage.client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const headers = {
      'x-environment-key': environment?.api_key,
      'x-fixture-fault': `lock-before=${LOCK}`,
      'content-type': 'application/json',
    };
    const request = httpRequest({
      port: stage.port,
      method: 'POST',
      path: '/api/v1/identities/',
      agent: false,
      headers,
    });
    request.on('error', () => undefined);
    request.end('{"identifier": "gone-before"}');
    // The intent is on disk before the API has the whole request.
    await waitFor(() => stage.spool.facts().open === 1, { for: 'the intent' });
    request.destroy();
    const before = await stage.rows();
    expect(before.identities.map(({ identifier }) => identifier)).not.toContain('gone-before');
    await stage.client.query('SELECT pg_advisory_unlock($1)', [LOCK]);
    const { rows } = await waitFor(
      async () => {
        const found = await stage.client.query(
          `SELECT created_date FROM environments_identity WHERE identifier = 'gone-before'`,
        );
        return found.rowCount === 1 && found;
      },
      { for: 'the commit' },
    );
    await waitFor(() => areAllEnded(stage.spool), { for: 'the events' });
    const [event] = await stage.events();
    const after = await stage.rows();
    const events = event ? [event] : [];
    const spread = await readSpreadRows(stage.client);
    // Background tasks of the previous test change other data.
    const changes = changesOf(before, after).filter(({ identity }) => identity.identifier === 'gone-before');
    expect(changes).toHaveLength(1);
    expect(changes.flatMap((change) => uncovered(change, events, spread))).toEqual([]);
    const commit = (rows[0].created_date as Date).getTime();
    expect(event?.outcome === 'unknown' || Date.parse(event?.observedTime ?? '') >= commit).toBe(true);
  });
});
