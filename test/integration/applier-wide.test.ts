/** Writes that touch many identities and name none (docs/flagsmith.md, "Writes that change identity documents without naming an identity"). */
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

/** More than one page. */
const PEOPLE = 600;

let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start({ EDGE_MIGRATION_ENVIRONMENTS_V2_TABLE: on.tables.settings.environmentsV2Table });
});

afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

/** Changes an environment's key for a moment. */
const hadBefore = (id: number, former: string) =>
  on.core(
    `UPDATE environments_environment SET api_key = '${former}' WHERE id = ${id}`,
    `UPDATE environments_environment SET api_key = 'key-${id}' WHERE id = ${id}`,
  );

/** A migrating project with `PEOPLE` identities with traits `plan` and `age`, all of them on Edge. */
async function prepare(id: number): Promise<void> {
  await on.project(id);
  await on.migrate(id);
  const people = Array.from({ length: PEOPLE }, (_, index) => ({
    id: id * 10_000 + index,
    identifier: `person-${index}`,
  }));
  await on.rows({
    environments_identity: people.map((person) => ({ ...person, environment_id: id })),
    environments_trait: people.flatMap((person) =>
      ['plan', 'age'].map((trait_key, index) => ({
        id: 2 * person.id + index,
        identity_id: person.id,
        trait_key,
        value_type: 'unicode',
        string_value: 'value',
      })),
    ),
  });
  await on.publish(...people.map(({ identifier }) => written(id, identifier)));
  await waitFor(async () => (await countOf(id)) === PEOPLE, {
    for: 'all to be in Edge',
    timeoutMs: 150_000,
  });
}

const documents = (id: number, key = `key-${id}`) => on.tables.query(key);
const countOf = (id: number, key = `key-${id}`) => on.tables.count(key);

/** A write about all identities, long enough ago to be handled only once. */
function wide(
  target: WriteEvent['target'],
  touched: WriteEvent['touched'] = { traits: [], overrides: [] },
): WriteEvent {
  return written(0, '', { target, touched, observedTime: new Date(Date.now() - 120_000).toISOString() });
}

const traitsOf = (item: Awaited<ReturnType<typeof documents>>[number]) =>
  (item['identity_traits']?.L ?? []).map(({ M }) => M?.['trait_key']?.S);

test('a trait that was deleted for a whole environment is removed from every document, and no other trait is', {
  timeout: 600_000,
}, async () => {
  await prepare(1);
  await on.core(`DELETE FROM environments_trait WHERE trait_key = 'plan'`);
  await on.publish(
    wide({ kind: 'environment', environment: { clientKey: 'key-1' } }, { traits: ['plan'], overrides: [] }),
  );
  await waitFor(async () => (await documents(1)).every((item) => traitsOf(item).join() === 'age'), {
    for: 'the trait to be gone',
    timeoutMs: 150_000,
  });
  await on.drained();
  expect(await documents(1)).toHaveLength(PEOPLE);
});

test('the documents of an environment move when its key changes', {
  timeout: 600_000,
}, async () => {
  await prepare(2);
  // Core has nothing left of these that would identify the old key's project.
  const removed = '(SELECT id FROM environments_identity WHERE environment_id = 2 AND id % 100 = 7)';
  await on.core(
    `DELETE FROM environments_trait WHERE identity_id IN ${removed}`,
    `DELETE FROM environments_identity WHERE id IN ${removed}`,
    `UPDATE environments_environment SET api_key = 'renamed' WHERE id = 2`,
  );
  await on.putInEdge('renamed', 'person-3', { theme: 'dark', age: 'theirs' });
  await on.publish(
    wide({ kind: 'environment', environment: { clientKey: 'key-2' } }),
    wide({ kind: 'environment', environment: { environmentId: 2 } }, { traits: [], overrides: [], moved: true }),
  );
  await waitFor(async () => (await countOf(2, 'renamed')) === PEOPLE - PEOPLE / 100, {
    for: 'the new ones',
    timeoutMs: 150_000,
  });
  // An Edge client created it first with the new key; it keeps its own traits and gets Core's as well.
  await waitFor(async () => (await on.traits('renamed', 'person-3'))?.['plan'] === 'value', { for: "Core's traits" });
  expect(await on.traits('renamed', 'person-3')).toEqual({ theme: 'dark', age: 'theirs', plan: 'value' });
  // Names are cached for some seconds; that is why such events are handled again a minute later.
  await waitFor(
    async () => {
      if ((await countOf(2)) === 0) return true;
      await on.publish(wide({ kind: 'environment', environment: { clientKey: 'key-2' } }));
      return false;
    },
    { for: 'the old ones to go', timeoutMs: 120_000, intervalMs: 5000 },
  );
  expect(await on.parked()).toEqual({});
});

test('the documents of a deleted environment are removed', { timeout: 600_000 }, async () => {
  await prepare(3);
  await on.rows({
    features_feature: [{ id: 3, project_id: 3, name: 'banner', type: 'STANDARD' }],
    features_featurestate: [{ id: 3, feature_id: 3, environment_id: 3, identity_id: 30_000 }],
  });
  const rows = () => on.tables.scan(on.tables.settings.environmentsV2Table);
  await on.publish(written(3, 'person-0', { touched: { traits: [], overrides: [3] } }));
  await waitFor(async () => (await rows()).length === 1, { for: 'the row of the override' });
  await on.core(
    'DELETE FROM features_featurestate WHERE identity_id = 30000',
    'DELETE FROM environments_trait WHERE identity_id BETWEEN 30000 AND 39999',
    'DELETE FROM environments_identity WHERE environment_id = 3',
    'UPDATE environments_environment SET deleted_at = now() WHERE id = 3',
  );
  await on.publish(wide({ kind: 'project', projectId: 3 }));
  await waitFor(async () => (await countOf(3)) === 0, {
    for: 'the documents to go',
    timeoutMs: 150_000,
  });
  await on.drained();
  expect(await rows()).toEqual([]);
});

test('a write by a key that its environment had a moment ago reaches the document under the new one', async () => {
  await on.project(6);
  await hadBefore(6, 'former-6');
  await on.migrate(6);
  await on.rows({ environments_identity: [{ id: 60_000, identifier: 'ada', environment_id: 6 }] });
  await on.putInEdge('former-6', 'ada', {}, 60_000);
  await on.publish(written(6, 'ada'));
  await waitFor(() => on.document('key-6', 'ada'), { for: 'the document under the new key' });
  await on.rows({
    environments_trait: [
      { id: 60_000, identity_id: 60_000, trait_key: 'plan', value_type: 'unicode', string_value: 'gold' },
    ],
  });
  const environment = { clientKey: 'former-6' };
  await on.publish(written(6, 'ada', { target: { kind: 'identity', environment, identifier: 'ada' } }));
  await waitFor(async () => (await on.traits('key-6', 'ada'))?.['plan'] === 'gold', { for: 'the write' });
  await waitFor(async () => (await on.document('former-6', 'ada')) === undefined, { for: 'the former one to go' });
});

test('a write to a whole environment by its former key reaches the documents under the new one', async () => {
  await on.project(7);
  await hadBefore(7, 'former-7');
  await on.migrate(7);
  await on.rows({
    environments_identity: ['ada', 'bob'].map((identifier, index) => ({
      id: 70_000 + index,
      identifier,
      environment_id: 7,
    })),
  });
  await on.putInEdge('former-7', 'ada', {}, 70_000);
  await on.putInEdge('key-7', 'ada', { campaign: 'old' }, 70_000);
  await on.putInEdge('key-7', 'bob', { campaign: 'old', own: 'kept' }, 70_001);
  const environment = { clientKey: 'former-7' };
  await on.publish(wide({ kind: 'environment', environment }, { traits: ['campaign'], overrides: [] }));
  await waitFor(async () => Object.keys((await on.traits('key-7', 'ada')) ?? { campaign: '' }).length === 0, {
    for: 'the trait to go',
  });
  await waitFor(async () => Object.keys((await on.traits('key-7', 'bob')) ?? {}).join() === 'own', {
    for: 'Edge to agree',
  });
  await waitFor(async () => (await countOf(7, 'former-7')) === 0, { for: 'the former one to go' });
});

test("a deleted identity is removed from under its environment's former key even if the applier never met that key", async () => {
  await on.project(5);
  await hadBefore(5, 'former-5');
  await on.migrate(5);
  await on.rows({ environments_identity: [{ id: 50_000, identifier: 'stays', environment_id: 5 }] });
  await on.putInEdge('former-5', 'stays', {}, 50_000);
  await on.putInEdge('former-5', 'gone', {}, 50_001);
  const target = { kind: 'identity', environment: { clientKey: 'former-5' }, identifier: 'gone' } as const;
  // Long ago, so that its consequences are applied once.
  await on.publish(written(5, 'gone', { target, observedTime: new Date(Date.now() - 120_000).toISOString() }));
  await on.drained();
  expect(await on.parked()).toEqual({});
  expect((await documents(5, 'former-5')).map((item) => item['identifier']?.S)).toEqual(['stays']);
});

test('an event with a key that is neither in Core nor on Edge affects no project', async () => {
  await on.publish(wide({ kind: 'environment', environment: { clientKey: 'nobody' } }), written(999, 'ada'));
  await on.drained();
  expect(await on.parked()).toEqual({});
});

test('an event that waits minutes for a background task leaves the stream, where it would block all projects', async () => {
  await on.project(16);
  await on.migrate(16);
  await on.rows({ features_feature: [{ id: 1600, project_id: 16, name: 'banner' }] });
  // Handled for the second time at once, for the third time in more than eight minutes.
  const observed = Date.now() - 100_000;
  const changes = { outcome: 'background', observedTime: new Date(observed).toISOString() } as const;
  const due = Math.ceil((observed + 605_000) / 1000);
  const minute = Math.floor(observed / 60_000);
  await on.publish(
    { ...wide({ kind: 'environment', environment: { clientKey: 'key-16' } }), ...changes },
    { ...wide({ kind: 'features', of: { clientKey: 'key-16' } }), ...changes },
    { ...wide({ kind: 'feature', featureId: 1600 }), ...changes },
    { ...wide({ kind: 'deletedProjects' }), ...changes },
  );
  await on.drained();
  // The project of a feature that no identity has is unknown, and so are the projects about to be deleted.
  expect(await on.parked()).toEqual({
    [`identity.parked.16.repeat.${due}.${minute}`]: 2,
    [`identity.parked.0.repeat.${due}.${minute}`]: 2,
  });
});

test('an event that has waited for a background task is handled once more, and is then done', async () => {
  await on.project(17);
  await on.migrate(17);
  await on.putInEdge('key-17', 'deleted by the task', {}, 70_000);
  const observedTime = new Date(Date.now() - 610_000).toISOString();
  const event = wide({ kind: 'environment', environment: { clientKey: 'key-17' } });
  const before = await on.parked();
  await on.publishRaw('identity.parked.17.repeat.1', JSON.stringify({ ...event, outcome: 'background', observedTime }));
  await waitFor(async () => (await countOf(17)) === 0, { for: 'the document to go', timeoutMs: 120_000 });
  await on.drained();
  expect(await on.parked()).toEqual(before);
});
