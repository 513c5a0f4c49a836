/** The API of a console with the shipped rights, on a real API server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type Account, call, listen, type Stage, startStage } from './console/stage.ts';

let stage: Stage;
/** May change EdgeMigrations in the first namespace. */
let editor: Account;
/** May read those of the first. */
let viewer: Account;
/** Another tenant, who may change those of the other namespace. */
let tenant: Account;
/** Has no rights. */
let stranger: Account;
let project = 100_000;

const COPIED = [
  { type: 'Copied', status: 'True', reason: 'Complete', message: 'copied', lastTransitionTime: '2026-01-01T00:00:00Z' },
];

beforeAll(async () => {
  stage = await startStage();
  editor = await stage.addCaller({ [stage.namespace]: 'edit' });
  viewer = await stage.addCaller({ [stage.namespace]: 'view' });
  tenant = await stage.addCaller({ [stage.otherNamespace]: 'edit' });
  stranger = await stage.addCaller({});
});

afterAll(() => stage?.[Symbol.asyncDispose]());

const path = (projectId: number, rest = '') => `/api/v1/projects/${projectId}/${rest}`;
const get = (caller: Account, where: string) => call(stage.url, where, { token: caller.token });
const post = (caller: Account, where: string, body: unknown = {}) =>
  call(stage.url, where, { token: caller.token, body });

/** The console's cache follows the API server by a watch. */
const seen = (caller: Account, projectId: number, is: (body: Record<string, unknown>) => boolean = () => true) =>
  waitFor(
    async () => {
      const { status, body } = await get(caller, path(projectId));
      return status === 200 && is(body) && body;
    },
    { for: `project ${projectId} in the console` },
  );

describe('a dashboard that calls the console', () => {
  test("starts a migration by Flagsmith's call without a body, and only once", async () => {
    const projectId = ++project;
    const first = await call(stage.url, path(projectId, 'migrate-to-edge/'), { token: editor.token, method: 'POST' });
    expect(first).toMatchObject({ status: 202, body: { result: 'created', project: { project_id: projectId } } });
    await seen(editor, projectId);
    const again = await post(editor, path(projectId, 'migrate-to-edge/'));
    expect(again).toMatchObject({ status: 200, body: { result: 'unchanged', message: 'is started already' } });
    const migration = await stage.migration(projectId);
    expect(migration?.['spec']).toMatchObject({ projectId, mode: 'Migrate' });
    // Kubernetes records the caller's actions under the caller's name.
    expect(migration?.metadata['managedFields']).toMatchObject([{ manager: 'edge-migration-console' }]);
  });

  test("gets Flagsmith's word for each state", async () => {
    const projectId = ++project;
    const status = async () => (await get(viewer, path(projectId, 'migration-status/'))).body;
    expect(await status()).toMatchObject({ migration_status: 'MIGRATION_NOT_STARTED', edge_migration: null });
    await stage.create(projectId);
    const word = (wanted: string) => waitFor(async () => (await status()).migration_status === wanted, { for: wanted });
    await word('MIGRATION_SCHEDULED');
    await stage.setStatus(projectId, { copy: { startTime: '2026-01-01T00:00:00Z' } });
    await word('MIGRATION_IN_PROGRESS');
    await stage.setStatus(projectId, { copy: { completionTime: '2026-01-01T01:00:00Z' }, conditions: COPIED });
    await word('MIGRATION_COMPLETED');
    expect(await status()).toMatchObject({
      migration_start_time: '2026-01-01T00:00:00Z',
      migration_end_time: '2026-01-01T01:00:00Z',
    });
  });

  test('plans with settings, and migrates with those of the plan', async () => {
    const projectId = ++project;
    await post(editor, path(projectId, 'plan/'), { copy: { parallelism: 3 } });
    await seen(editor, projectId, ({ mode }) => mode === 'Plan');
    const started = await post(editor, path(projectId, 'migrate-to-edge/'), { replay: { windowSeconds: 3600 } });
    expect(started).toMatchObject({ status: 202, body: { result: 'changed', message: 'was a plan and is started' } });
    expect((await stage.migration(projectId))?.['spec']).toMatchObject({
      mode: 'Migrate',
      copy: { parallelism: 3 },
      replay: { windowSeconds: 3600 },
    });
  });

  test('suspends, resumes, compares and retries', async () => {
    const projectId = ++project;
    await stage.create(projectId);
    await seen(editor, projectId);
    const spec = async () => (await stage.migration(projectId))?.['spec'];
    expect(await post(editor, path(projectId, 'suspend/'))).toMatchObject({ status: 202 });
    expect(await spec()).toMatchObject({ suspend: true });
    expect(await post(editor, path(projectId, 'resume/'))).toMatchObject({ status: 202 });
    expect(await spec()).toMatchObject({ suspend: false });
    expect(await post(editor, path(projectId, 'verify/'))).toMatchObject({
      status: 409,
      body: { code: 'not_possible', detail: expect.stringContaining('is not copied yet') },
    });
    await stage.setStatus(projectId, { conditions: COPIED });
    expect(await post(editor, path(projectId, 'verify/'))).toMatchObject({ status: 202 });
    expect(await spec()).toMatchObject({ retry: expect.stringMatching(/^verify-/) });
    // The operator has not observed the first one.
    expect(await post(editor, path(projectId, 'retry/'))).toMatchObject({ status: 409 });
  });

  test('extends the window, and closes it after a confirmation', async () => {
    const projectId = ++project;
    await stage.create(projectId, {
      spec: { replay: { windowSeconds: 864_000 } },
      status: { conditions: COPIED, copy: { completionTime: new Date().toISOString() } },
    });
    await seen(editor, projectId);
    expect(await post(editor, path(projectId, 'extend/'), { by: '1d' })).toMatchObject({ status: 202 });
    const window = async () => (await stage.migration(projectId))?.['spec'] as { replay: { windowSeconds: number } };
    expect((await window()).replay.windowSeconds).toBe(950_400);
    const refused = await post(editor, path(projectId, 'finish/'));
    expect(refused).toMatchObject({
      status: 409,
      body: {
        code: 'confirmation_required',
        warnings: [
          { code: 'core_not_followed', text: expect.stringMatching(/^writes that reach Core after .* any more$/) },
        ],
      },
    });
    expect((await window()).replay.windowSeconds).toBe(950_400);
    // By then there is new information, which the caller has not seen.
    const confirm = ['core_not_followed'];
    const stillOnCore = { state: 'Writing', message: 'as told', writesPerDay: 12 };
    await stage.setStatus(projectId, { replay: { stillOnCore } });
    const refusedAgain = await post(editor, path(projectId, 'finish/'), { confirm });
    expect(refusedAgain).toMatchObject({
      status: 409,
      body: { warnings: [{ code: 'core_not_followed' }, { code: 'core_still_written' }] },
    });
    expect((await window()).replay.windowSeconds).toBe(950_400);
    const codes = (refusedAgain.body as { warnings: { code: string }[] }).warnings.map(({ code }) => code);
    expect(await post(editor, path(projectId, 'finish/?dry_run=true'))).toMatchObject({
      status: 202,
      body: { warnings: [{ code: 'core_not_followed' }, { code: 'core_still_written' }] },
    });
    expect((await window()).replay.windowSeconds).toBe(950_400);
    expect(await post(editor, path(projectId, 'finish/'), { confirm: true })).toMatchObject({ status: 400 });
    expect(await post(editor, path(projectId, 'finish/'), { confirm: codes })).toMatchObject({ status: 202 });
    expect((await window()).replay.windowSeconds).toBeLessThan(1000);
  });

  test("gets the API server's message about a rejected change", async () => {
    const projectId = ++project;
    const dry = await post(editor, path(projectId, 'migrate-to-edge/?dry_run=true'));
    expect(dry).toMatchObject({ status: 202, body: { dry_run: true, result: 'created' } });
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test('gets a report limited to what its caller may read', async () => {
    const projectId = ++project;
    await stage.create(projectId, { status: { audit: { reportName: 'audit-of-it', milestone: 'Copied' } } });
    await seen(viewer, projectId, ({ status }) => (status as { audit?: unknown }).audit !== undefined);
    const report = await get(viewer, path(projectId, 'report/'));
    expect(report.headers.get('content-disposition')).toBe(`attachment; filename="project-${projectId}.md"`);
    expect(report.body).toContain(`# Migration of project ${projectId} from Core to Edge`);
    expect(report.body).toMatch(/could not be read: ConfigMap audit-of-it: .*[Ff]orbidden/);
    const json = await get(viewer, path(projectId, 'report/?format=json'));
    expect(json.body).toMatchObject({ edgeMigration: { name: `project-${projectId}` } });
  });
});

describe("the console's list", () => {
  test('has pages, search and sorting, limited to what its caller may list', async () => {
    const ids = [++project, ++project, ++project];
    const word = `fleet${ids[0]}`;
    for (const [index, id] of ids.entries()) {
      const annotations = { 'edge.flagsmith.com/project-name': `${word} number ${index}` };
      await stage.create(id, { annotations, status: { phase: index === 0 ? 'Failed' : 'Copying' } });
    }
    const list = async (query: string) => (await get(viewer, `/api/v1/projects/?search=${word}&${query}`)).body;
    await waitFor(async () => (await list('')).phases.Copying === 2, { for: 'all to be listed' });
    const page = await list('page_size=2&ordering=-project_id');
    expect(page).toMatchObject({ count: 3, previous: null, phases: { Copying: 2, Failed: 1 } });
    expect(page.results.map((each: { project_id: number }) => each.project_id)).toEqual([ids[2], ids[1]]);
    const next = (await get(viewer, page.next)).body;
    expect(next).toMatchObject({ next: null, results: [{ project_id: ids[0], project_name: `${word} number 0` }] });
    expect(await list('phase=Failed')).toMatchObject({ count: 1, phases: { Copying: 2, Failed: 1 } });
    for (const caller of [tenant, stranger]) {
      const { body } = await get(caller, `/api/v1/projects/?search=${word}`);
      expect(body).toEqual({ count: 0, next: null, previous: null, phases: {}, results: [] });
    }
  });
});

describe('the rights in the console', () => {
  test('of Kubernetes decide what each may see and do', async () => {
    const projectId = ++project;
    await stage.create(projectId);
    expect((await seen(editor, projectId))['actions']).toMatchObject({ suspend: { allowed: true, possible: true } });
    expect((await seen(viewer, projectId))['actions']).toMatchObject({ suspend: { allowed: false } });
    expect(await post(viewer, path(projectId, 'suspend/'))).toMatchObject({
      status: 403,
      body: { code: 'forbidden', detail: expect.stringContaining(`may not patch EdgeMigrations`) },
    });
    for (const caller of [tenant, stranger]) {
      for (const rest of ['', 'series/', 'report/', 'events/']) {
        expect(await get(caller, path(projectId, rest))).toMatchObject({ status: 404, body: { code: 'not_found' } });
      }
      expect(await post(caller, path(projectId, 'suspend/'))).toMatchObject({ status: 404 });
      expect(await get(caller, path(projectId, 'migration-status/'))).toMatchObject({ status: 403 });
    }
    // Nothing in it reveals whether the project exists.
    const unknown = await get(stranger, path(++project));
    const known = await get(stranger, path(projectId));
    expect(known.body.detail.replace(`${projectId}`, '')).toBe(unknown.body.detail.replace(`${project}`, ''));
    expect((await stage.migration(projectId))?.['spec']).toMatchObject({ suspend: false });
  });

  test('are those in the namespace in which a migration would be created', async () => {
    const projectId = ++project;
    expect(await post(viewer, path(projectId, 'migrate-to-edge/'))).toMatchObject({ status: 403 });
    expect(await post(tenant, path(projectId, 'migrate-to-edge/'))).toMatchObject({ status: 403 });
    expect(await stage.migration(projectId)).toBeUndefined();
    const elsewhere = await post(tenant, path(projectId, `migrate-to-edge/?namespace=${stage.otherNamespace}`));
    expect(elsewhere).toMatchObject({ status: 202, body: { project: { namespace: stage.otherNamespace } } });
  });

  test('that were taken away end within seconds', async () => {
    const projectId = ++project;
    await stage.create(projectId);
    const leaver = await stage.addCaller({ [stage.namespace]: 'view' });
    await seen(leaver, projectId);
    await leaver.revoke();
    await waitFor(async () => (await get(leaver, path(projectId))).status === 404, { for: 'the right to end' });
  });

  test('are reported to the page', async () => {
    const { body } = await get(viewer, '/api/v1/session/');
    expect(body).toMatchObject({
      user: viewer.user,
      authentication: 'Token',
      default_namespace: stage.namespace,
      may: { create: false, patch: false },
    });
    expect((await get(editor, '/api/v1/session/')).body.may).toEqual({ create: true, patch: true });
  });
});

describe("the console's live progress", () => {
  test('sends each change of one project, and its deletion', async () => {
    const projectId = ++project;
    await stage.create(projectId);
    await seen(viewer, projectId);
    await using stream = await listen(stage.url, path(projectId, 'events/'), viewer.token);
    const last = () => stream.events.at(-1);
    await waitFor(() => last()?.event === 'project', { for: 'the first update' });
    await stage.setStatus(projectId, { phase: 'Copying', copy: { identitiesTotal: 10, identitiesRead: 4 } });
    await waitFor(() => last()?.data.identities_remaining === 6, { for: 'progress' });
    await stage.client.delete(
      {
        group: 'edge.flagsmith.com',
        version: 'v1alpha1',
        plural: 'edgemigrations',
        kind: 'EdgeMigration',
        namespaced: true,
      },
      { namespace: stage.namespace, name: `project-${projectId}` },
    );
    await waitFor(() => last()?.event === 'removed', { for: 'its end' });
    expect(last()?.data).toEqual({ project_id: projectId, namespace: stage.namespace, name: `project-${projectId}` });
  });

  test('of all projects sends each caller only what they may watch', async () => {
    await using mine = await listen(stage.url, '/api/v1/projects/events/', viewer.token);
    await using theirs = await listen(stage.url, '/api/v1/projects/events/', tenant.token);
    await waitFor(() => mine.events.length > 0 && theirs.events.length > 0, { for: 'both to begin' });
    expect(mine.events[0]).toEqual({ event: 'ready', data: {} });
    const [ours, other] = [++project, ++project];
    await stage.create(ours);
    await stage.create(other, { namespace: stage.otherNamespace });
    const has = (events: readonly { data: { project_id?: number } }[], id: number) =>
      events.some(({ data }) => data.project_id === id);
    await waitFor(() => has(mine.events, ours) && has(theirs.events, other), { for: 'both to be told' });
    expect(has(mine.events, other) || has(theirs.events, ours)).toBe(false);
  });

  test('keeps a history for charts', async () => {
    const projectId = ++project;
    await stage.create(projectId, {
      status: {
        copy: { startTime: '2026-01-01T00:00:00Z', identitiesTotal: 10, identitiesRead: 1, identitiesPerSecond: 5 },
      },
    });
    await seen(viewer, projectId, ({ identities_total }) => identities_total === 10);
    const { body } = await get(viewer, path(projectId, 'series/'));
    expect(body.samples).toMatchObject([{ identities_per_second: 5, identities_remaining: 9, lag_seconds: null }]);
  });
});
