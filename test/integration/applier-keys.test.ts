/** Client keys that change while events about their environment are under way (docs/design.md, "Convergence", rule 8). */
import { createHash } from 'node:crypto';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { COPIED, COPYING, createHarness, type Harness, people, written } from './applier/harness.ts';

let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
});
afterAll(() => on[Symbol.asyncDispose]());
// Each test begins with an applier that knows no key yet.
beforeEach(() => {
  stop = on.start();
});
afterEach(() => stop());

const keysOf = async (id: number) =>
  (await on.tables.scan())
    .map((item) => item['environment_api_key']?.S ?? '')
    .filter((key) => key === `key-${id}` || key.startsWith(`key-${id}-`));

const eventually = (what: string, condition: () => Promise<boolean>) =>
  waitFor(condition, { for: what, timeoutMs: 120_000 });

async function fill(id: number, count: number): Promise<void> {
  const identities = people(count).map((identifier, index) => ({
    id: id * 10_000 + index,
    identifier,
    environment_id: id,
  }));
  await on.rows({ environments_identity: identities });
}

/** Changes the environment's key, and reports it like a sidecar; long ago, so that it is handled only once. */
async function rename(id: number, from: string, to: string): Promise<void> {
  await on.core(`UPDATE environments_environment SET api_key = '${to}' WHERE id = ${id}`);
  const observedTime = new Date(Date.now() - 120_000).toISOString();
  const event = (environment: object, moved: object): WriteEvent =>
    written(id, '', {
      target: { kind: 'environment', environment } as WriteEvent['target'],
      touched: { traits: [], overrides: [], ...moved },
      observedTime,
    });
  await on.publish(event({ clientKey: from }, {}), event({ environmentId: id }, { moved: true }));
}

test('two renames within seconds leave every document only under the last key', { timeout: 600_000 }, async () => {
  await on.project(1);
  await fill(1, 300);
  await on.migrate(1);
  await on.publish(...people(300).map((name) => written(1, name)));
  await eventually('all to be in Edge', async () => (await keysOf(1)).length === 300);
  await rename(1, 'key-1', 'key-1-b');
  await eventually('the first move to begin', async () => (await keysOf(1)).includes('key-1-b'));
  await rename(1, 'key-1-b', 'key-1-c');
  await eventually('all to be under the last key', async () => {
    const keys = await keysOf(1);
    return keys.length === 300 && keys.every((key) => key === 'key-1-c');
  });
  await on.drained();
  expect(new Set(await keysOf(1))).toEqual(new Set(['key-1-c']));
  expect(await on.parked()).toEqual({});
});

test('documents that the copy wrote under a former key are removed when the copy is complete', {
  timeout: 600_000,
}, async () => {
  await on.project(2);
  await fill(2, 50);
  await on.migrate(2, {}, COPYING);
  await rename(2, 'key-2', 'key-2-b');
  await eventually('the events to wait for the copy', async () => {
    const parked = await on.parked();
    return (await on.depth()) === 0 && (parked['identity.parked.2.copying'] ?? 0) >= 2;
  });
  // The copy continues with the key that it began with.
  for (const [index, name] of people(50).entries()) await on.putInEdge('key-2', name, {}, 20_000 + index);
  await on.migrate(2, {}, COPIED);
  await eventually('all to be under the new key', async () => {
    const keys = await keysOf(2);
    return keys.length === 50 && keys.every((key) => key === 'key-2-b');
  });
});

test('a write by a former key that is unknown to the applier and has nothing on Edge reaches its document', {
  timeout: 600_000,
}, async () => {
  await on.project(3);
  await on.core("UPDATE environments_environment SET api_key = 'key-3-b' WHERE id = 3");
  await on.migrate(3);
  await fill(3, 1);
  await on.publish(written(3, 'person-0'));
  await eventually('the document', async () => (await on.document('key-3-b', 'person-0')) !== undefined);
});

test('a write by a key whose owner cannot be determined is kept, not acknowledged', {
  timeout: 600_000,
}, async () => {
  await on.project(4);
  // Older than the history that Core keeps.
  await on.core(
    "UPDATE environments_environment SET api_key = 'key-4-b' WHERE id = 4",
    'DELETE FROM environments_historicalenvironment WHERE id = 4',
  );
  await on.migrate(4);
  await on.publish(written(4, 'ada'));
  await eventually('it to be parked', async () => (await on.poison(0)).length === 1);
  const message = await on.manager.streams.getMessage('IDENTITY_WRITES_PARKED', {
    last_by_subj: 'identity.parked.0.poison.>',
  });
  expect(message?.header.get('Edge-Migration-Reason')).toContain('it is unknown whether one had it');
  await on.endMigration(4);
});

test('a former key that another environment has taken over is that one’s, and its documents are left alone', {
  timeout: 600_000,
}, async () => {
  await on.project(5);
  await on.migrate(5);
  await fill(5, 1);
  await on.publish(written(5, 'person-0'));
  await eventually('the document', async () => (await on.document('key-5', 'person-0')) !== undefined);
  await on.core("UPDATE environments_environment SET api_key = 'key-5-b' WHERE id = 5");
  // Its project does not migrate.
  await on.rows({
    projects_project: [{ id: 500 }],
    environments_environment: [{ id: 500, project_id: 500, api_key: 'key-5' }],
  });
  await on.putInEdge('key-5', 'theirs', { own: 'kept' }, 77);
  const before = await on.document('key-5', 'theirs');
  await on.publish(
    written(5, 'theirs'),
    written(5, '', { target: { kind: 'environment', environment: { clientKey: 'key-5' } } }),
    written(5, '', {
      target: { kind: 'environment', environment: { environmentId: 5 } },
      touched: { traits: [], overrides: [], moved: true },
    }),
  );
  await eventually('the move', async () => (await on.document('key-5-b', 'person-0')) !== undefined);
  expect(await on.document('key-5', 'theirs')).toEqual(before);
});

test("a key that moved between migrating projects within seconds leads to the new project's identities at once", {
  timeout: 600_000,
}, async () => {
  await on.project(6);
  await on.rows({
    projects_project: [{ id: 600 }],
    environments_environment: [{ id: 600, project_id: 600, api_key: 'key-600' }],
  });
  await on.migrate(6);
  await fill(6, 2);
  const clientKey = 'key-600';
  const [first = '', second = ''] = people(2);
  const byKey = (identifier: string) =>
    written(6, identifier, { target: { kind: 'identity', environment: { clientKey }, identifier } });
  // The applier learns the key's owner; the event after it shows that it is done.
  await on.publish(byKey(first), written(6, first));
  await eventually('the first document', async () => (await on.document('key-6', first)) !== undefined);
  await on.core("UPDATE environments_environment SET api_key = 'key-600-b' WHERE id = 600");
  await on.core("UPDATE environments_environment SET api_key = 'key-600' WHERE id = 6");
  await on.publish(byKey(second));
  await eventually('the document', async () => (await on.document(clientKey, second)) !== undefined);
});

test('an event whose key Core does not know is set aside, and is applied once Core knows it', async () => {
  const stopOther = on.start({
    EDGE_MIGRATION_INSTANCE: 'other',
    EDGE_MIGRATION_UNKNOWN_RETRY_SECONDS: '2',
  });
  try {
    await on.project(90);
    await fill(90, 1);
    await on.migrate(90);
    const serverKeySha256 = createHash('sha256').update('ser.later').digest('hex');
    const [identifier = ''] = people(1);
    await on.publish(
      written(90, identifier, { target: { kind: 'identity', environment: { serverKeySha256 }, identifier } }),
    );
    await eventually('it to wait', async () => (await on.poison(0)).length === 1);
    await on.rows({
      environments_environmentapikey: [
        { id: 90, key: 'ser.later', name: 'key', environment_id: 90, created_at: new Date(), active: true },
      ],
    });
    await eventually('the document', async () => (await on.document('key-90', identifier)) !== undefined);
    await eventually('nothing to wait', async () => (await on.poison(0)).length === 0);
  } finally {
    await stopOther();
  }
});
