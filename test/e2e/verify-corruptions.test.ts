import { converge } from '@edge-migration/identity/converge.ts';
import { createTestProject, type TestProject } from '@edge-migration/operator/copy/worker/testing/project.ts';
import { openWorkerStores, type WorkerStores } from '@edge-migration/operator/job/stores.ts';
import { ALL_FINDING_KINDS, countComparedIdentities, countDocuments } from '@edge-migration/operator/verify/totals.ts';
import { CORRUPTIONS } from '@edge-migration/operator/verify/worker/testing/corruptions.ts';
import { VERIFY_SETTINGS, verify } from '@edge-migration/operator/verify/worker/testing/verification.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dynamodb, startDynamodb } from '../cluster/dynamodb.ts';
import { readTestConfiguration } from '../configuration.ts';

const MINUTES = 60_000;
const { VERIFY_IDENTITIES: IDENTITIES } = readTestConfiguration();
/** DynamoDB Local keeps everything that it returns or indexes in its heap. */
const IDENTITIES_PER_MEGABYTE = 40;
/** Number for each of the 22 kinds. */
const EACH = 5;

let dynamodb: Dynamodb;
let project: TestProject;

beforeAll(async () => {
  const heapMb = Math.max(512, Math.ceil(IDENTITIES / IDENTITIES_PER_MEGABYTE));
  dynamodb = await startDynamodb({ heapMb, optimise: true });
  project = await createTestProject({ identities: IDENTITIES, dynamodb });
  const settings = { ...project.settings, pageSize: 1000 };
  await project.copy({ settings: () => settings });
}, 40 * MINUTES);
afterAll(async () => {
  await project?.[Symbol.asyncDispose]();
  await dynamodb?.stop();
});

/** Plays a Core API and an edge applier: a trait is set in Core, and a little later on Edge. */
function startWrites(stores: WorkerStores, identityIds: readonly number[]) {
  const stop = new AbortController();
  let writes = 0;
  /** Time of the oldest write that is not on Edge. */
  let oldest: number | undefined;
  async function run(): Promise<void> {
    for (let index = 0; !stop.signal.aborted; index = (index + 7) % identityIds.length) {
      oldest = systemClock.now();
      const [row] = await project.sql(
        `UPDATE environments_trait SET value_type = 'int', integer_value = $2
          WHERE id = (SELECT min(id) FROM environments_trait WHERE identity_id = $1)
          RETURNING trait_key, (SELECT environment_id FROM environments_identity WHERE id = $1),
                    (SELECT identifier FROM environments_identity WHERE id = $1)`,
        [identityIds[index], writes],
      );
      await systemClock.sleep(5);
      const environment = stores.project.environments.find(({ id }) => id === row?.['environment_id']);
      if (row !== undefined && environment !== undefined) {
        const touched = { traits: new Set([String(row['trait_key'])]), overrides: new Set<string>() };
        await converge(
          stores,
          { environment, identifier: String(row['identifier']) },
          touched,
          new AbortController().signal,
        );
      }
      oldest = undefined;
      writes += 1;
    }
  }
  const running = run();
  return {
    appliedUntil: () => (oldest ?? systemClock.now()) - 1,
    async stop(): Promise<number> {
      stop.abort();
      await running;
      return writes;
    },
  };
}

test(`exactly the 110 documents damaged in 22 ways among ${IDENTITIES.toLocaleString('en-GB')} are found and repaired while others are written`, {
  timeout: 40 * MINUTES,
}, async () => {
  const items = (await project.tables.scan()).filter((item) => (item['identity_traits']?.L?.length ?? 0) > 1);
  const overridden = items.filter((item) => (item['identity_features']?.L?.length ?? 0) > 0);
  const plain = items.filter((item) => (item['identity_features']?.L?.length ?? 0) === 0);
  const damaged = new Set<string>();
  for (const { apply, needsOverride } of CORRUPTIONS) {
    for (let count = 0; count < EACH; count++) {
      const item = (needsOverride ? overridden : plain).pop()!;
      const key = item['environment_api_key']?.S;
      const { id } = project.stores.project.environments.find(({ apiKey }) => apiKey === key)!;
      await apply(project.stores.edge, item, id);
      damaged.add(item['identifier']!.S!);
    }
  }
  // A separate client, so that its writes do not count as the comparison's.
  await using applier = await openWorkerStores(
    {
      ...project.tables.settings,
      databaseUrl: project.databaseUrl,
      projectId: project.seeded.projectId,
      maxWriteUnitsPerSecond: 1_000_000,
    },
    { clock: systemClock, retryBudgetMs: 20_000, signal: new AbortController().signal },
  );
  const writes = startWrites(
    applier,
    plain.slice(0, 1_000).map((item) => Number(item['django_id']!.N)),
  );
  const settings = () => ({ ...VERIFY_SETTINGS, pageSize: 1000, appliedUntil: writes.appliedUntil() });

  const found = await verify(project, { settings });
  const names = found.samples.map(({ identifier }) => identifier.replace(/-unknown$/, ''));
  expect(new Set(names)).toEqual(damaged);
  expect(countComparedIdentities(found.totals)).toBe(IDENTITIES);
  expect(countDocuments(found.totals)).toBe((await project.tables.scan()).length);
  expect(found.totals.writeUnits).toBe(0);

  const repaired = await verify(project, { settings, repair: 'Core' });
  expect({ ...repaired.totals.repaired, uuid: 0 }).toEqual({ ...repaired.totals.found, uuid: 0 });

  const after = await verify(project, { settings });
  expect(await writes.stop()).toBeGreaterThan(10);
  expect(ALL_FINDING_KINDS.filter((kind) => kind !== 'uuid' && after.totals.found[kind] > 0)).toEqual([]);
  expect(after.totals.equal + after.totals.unsettled).toBe(IDENTITIES);
  const quiet = await verify(project);
  expect(quiet.totals.equal).toBe(IDENTITIES);
  expect(quiet.totals.coreChecksum).toBe(quiet.totals.edgeChecksum);
});
