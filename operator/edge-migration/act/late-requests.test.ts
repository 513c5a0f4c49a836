import { LABELS, type Operation, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject, Resource } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS, JOBS, SECRETS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestProject, type TestProject } from '../../copy/worker/testing/project.ts';
import type { Action } from '../actions.ts';
import { parsePlan } from '../parse.ts';
import { migration as buildMigration } from '../testing/facts.ts';
import { act } from './act.ts';
import type { ActionContext } from './context.ts';
import { writeRangePlan } from './plan-ranges.ts';

const fake = useFake([CONFIG_MAPS, SECRETS, JOBS]);
const namespace = 'edge-migration';
const logger = createLogger('test', 'silent');
const { signal } = new AbortController();

let project: TestProject;
beforeAll(async () => {
  project = await createTestProject({ identities: 20 });
});
afterAll(() => project?.[Symbol.asyncDispose]());

const contextOf = (client: KubernetesClient) =>
  ({ client, namespace, core: project.stores.core, clock: systemClock }) as ActionContext;

const ofProject = () => buildMigration({}, { projectId: project.seeded.projectId });

const planOf = (root: KubernetesObject | undefined) =>
  parsePlan((root?.['data'] as Record<string, string> | undefined)?.['plan']);

const read = (resource: Resource, name: string) => fake.client.get(resource, { namespace, name });

/** A client of a former leader: its writes to this object stay in the network until `meanwhile` is over. */
function delay(resource: Resource, name: string, meanwhile: () => Promise<unknown>): KubernetesClient {
  const client = fake.connect();
  let hasWaited = false;
  const wait = async (to: Resource, object: string) => {
    if (hasWaited || to !== resource || object !== name) return;
    hasWaited = true;
    await meanwhile();
  };
  const writing =
    (verb: 'create' | 'apply') =>
    async (to: Resource, object: KubernetesObject, options: never): Promise<KubernetesObject> => {
      await wait(to, object.metadata.name);
      return client[verb](to, object, options);
    };
  return {
    ...client,
    create: writing('create'),
    apply: writing('apply'),
    async patch(to, reference, ...more) {
      await wait(to, reference.name);
      return client.patch(to, reference, ...more);
    },
    async delete(to, reference, ...more) {
      await wait(to, reference.name);
      return client.delete(to, reference, ...more);
    },
  };
}

describe('ranges planned by a former leader', () => {
  const plan = (client: KubernetesClient) =>
    writeRangePlan(contextOf(client), { migration: ofProject(), operation: 'copy', logger, signal });

  test.each(['ranges', 'root'] as const)("are not stored under the current leader's plan: %s", async (which) => {
    const names = objectNames(ofProject(), 'copy');
    const resource = which === 'ranges' ? SECRETS : CONFIG_MAPS;
    let planned: unknown;
    const late = delay(resource, names[which], async () => {
      // Distinguishes the plans.
      const [environment] = project.stores.project.environments;
      await project.sql(
        `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
         VALUES ($1, now(), $2, '{}')`,
        [`newer ${which}`, environment!.id],
      );
      await plan(fake.client);
      planned = [await read(CONFIG_MAPS, names.root), await read(SECRETS, names.ranges)];
    });
    await expect(plan(late)).rejects.toMatchObject({ disposition: 'conflict' });
    const [root, ranges] = [await read(CONFIG_MAPS, names.root), await read(SECRETS, names.ranges)];
    expect([root, ranges]).toEqual(planned);
    expect(planOf(root)?.ranges).toHaveLength(1);
    expect(ranges?.metadata.ownerReferences).toMatchObject([{ uid: root?.metadata.uid }]);
  });

  test('are stored although their root was labelled or annotated meanwhile', async () => {
    const names = objectNames(ofProject(), 'copy');
    const metadata = { labels: { inventory: 'seen' }, annotations: { policy: 'checked' } };
    const late = delay(SECRETS, names.ranges, () =>
      fake.client.patch(CONFIG_MAPS, { namespace, name: names.root }, { metadata }),
    );
    await plan(late);
    const root = await read(CONFIG_MAPS, names.root);
    expect(planOf(root)?.ranges).toHaveLength(1);
    expect(root?.metadata).toMatchObject(metadata);
  });

  test('are planned again after an interrupted planning', async () => {
    const names = objectNames(ofProject(), 'copy');
    const broken: KubernetesClient = { ...fake.client, apply: () => Promise.reject(new Error('killed')) };
    await expect(plan(broken)).rejects.toThrow('killed');
    // Kubernetes removes what the root owned; the fake does not.
    await fake.client.delete(SECRETS, { namespace, name: names.ranges });
    await plan(fake.client);
    expect(planOf(await read(CONFIG_MAPS, names.root))).toBeDefined();
  });
});

describe('a late write of a former leader', () => {
  const names = () => objectNames(buildMigration(), 'copy');
  const execute = (client: KubernetesClient, action: Action) =>
    act(contextOf(client), { migration: buildMigration(), logger, signal }, action);
  const record = (gap: string): Action => ({
    kind: 'writeRecord',
    record: { copy: { startTime: '2026-05-04T12:00:00Z' }, replay: { deadline: gap } } as never,
  });
  const unstorable = (identityId: number): Action => ({
    kind: 'writeUnstorableReport',
    identities: [{ environmentId: 1, identityId, cause: 'DocumentTooLarge' }],
  });
  const skipped: Action = { kind: 'writeSkippedReport', operation: 'copy' as Operation };
  const day = (date: string): Action => ({
    kind: 'writeUsageSeries',
    most: 59,
    days: [{ date, known: 'all', writes: 1, reads: 0, rows: [] }],
  });

  test.each<[string, () => string, Action, Action]>([
    ['the record', () => names().record, record('2026-06-01T00:00:00Z'), record('2026-05-20T00:00:00Z')],
    ['the list of unstorable identities', () => names().unstorableReport, unstorable(1), unstorable(2)],
    ['the report of skipped identities', () => names().skippedReport, skipped, skipped],
    ['the daily series of requests', () => names().stillOnCore, day('2026-11-01'), day('2026-11-02')],
  ])('does not replace %s that the current leader has written', async (_, nameOf, early, later) => {
    await execute(fake.client, early);
    const name = nameOf();
    let written: unknown;
    const late = delay(CONFIG_MAPS, name, async () => {
      await execute(fake.client, later);
      // As written by the leader meanwhile, if it was the same.
      await fake.client.patch(CONFIG_MAPS, { namespace, name }, { data: { leader: 'yes' } });
      written = await read(CONFIG_MAPS, name);
    });
    const again = early.kind === 'writeUsageSeries' ? day('2026-11-03') : early;
    await expect(execute(late, again)).rejects.toMatchObject({ disposition: 'conflict' });
    expect(await read(CONFIG_MAPS, name)).toEqual(written);
  });

  test('neither removes the next plan nor changes the settings of its pods', async () => {
    const { root: name } = names();
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name } };
    const replace = async () => {
      await fake.client.delete(CONFIG_MAPS, { namespace, name });
      await fake.client.create(CONFIG_MAPS, { ...object, data: { plan: 'next' } });
    };
    const settings = { pageSize: 10, maxWriteUnitsPerSecond: 5, onConflict: 'CoreWins' } as const;
    for (const action of [
      { kind: 'retireWork', operation: 'copy' },
      { kind: 'writeLiveSettings', operation: 'copy', settings },
    ] as const satisfies Action[]) {
      await replace();
      const late = delay(CONFIG_MAPS, name, replace);
      await expect(execute(late, action)).rejects.toMatchObject({ disposition: 'conflict' });
      expect((await read(CONFIG_MAPS, name))?.['data']).toEqual({ plan: 'next' });
    }
  });

  test('does not remove a Job of the next plan', async () => {
    const name = names().job(1);
    const labels = { [LABELS.migrationUid]: buildMigration().uid, [LABELS.component]: 'copy' };
    const create = (uid: string, status: object) => {
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: names().root, uid }];
      const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { namespace, name, labels, ownerReferences } };
      return fake.client.create(JOBS, { ...job, status });
    };
    await create('before', { conditions: [{ type: 'Complete', status: 'True' }] });
    let next: unknown;
    const late = delay(JOBS, name, async () => {
      await fake.client.delete(JOBS, { namespace, name });
      next = await create('next', {});
    });
    const retire = execute(late, { kind: 'retireWork', operation: 'copy' });
    await expect(retire).rejects.toMatchObject({ disposition: 'conflict' });
    expect(await read(JOBS, name)).toEqual(next);
  });
});
