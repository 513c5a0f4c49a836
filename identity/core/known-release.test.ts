import { createFakeClock, type FakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { downgrade } from '@edge-migration/test/core/releases.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { execute, insertRows, ONE_PROJECT } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';
import { CoreUnsupportedError } from './errors.ts';

const USER = `known-release-${process.pid}`;
const PLACE = { environmentId: 1, identifier: 'someone' };

let database: TestDatabase;
let clock: FakeClock;
let core: Core;

/** Core as it was before identities had system traits. */
beforeEach(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, api_key: 'key' }],
    environments_identity: [{ id: 1, identifier: 'someone' }],
  });
  await downgrade(database.url, '2.262.0');
  clock = createFakeClock();
  core = openCore({ databaseUrl: database.url }, { maxConnections: 2, applicationName: USER, clock });
});
afterEach(async () => {
  await core.close();
  await database.drop();
});

const upgrade = () =>
  execute(
    database.url,
    `ALTER TABLE environments_identity ADD COLUMN system_traits jsonb DEFAULT '{}' NOT NULL`,
    `UPDATE environments_identity SET system_traits = '{"cohort": true}'`,
  );
const readSystemTraits = async () => (await core.identities.one(PLACE))?.systemTraits;
const UPGRADED = '{"cohort": true}';

/**
 * Reads over both connections. The first read finds out that the server has no TLS: two reads that find out at different
 * times may share one connection.
 */
async function readWithBoth(): Promise<void> {
  await readSystemTraits();
  await Promise.all([readSystemTraits(), readSystemTraits()]);
}

const OURS = `FROM pg_stat_activity WHERE application_name = '${USER}'`;

test('an upgrade of Flagsmith is noticed as soon as the connection is lost and re-established', async () => {
  expect(await readSystemTraits()).toBeNull();
  await upgrade();
  expect(await readSystemTraits()).toBeNull();
  await execute(database.url, `SELECT pg_terminate_backend(pid) ${OURS}`);
  // The read that finds its connection broken fails, like any other.
  await vi.waitFor(async () => expect(await readSystemTraits()).toBe(UPGRADED), 30_000);
});

test('an upgrade that breaks no connection is noticed after a minute', async () => {
  expect(await readSystemTraits()).toBeNull();
  await upgrade();
  await clock.advance(59_000);
  expect(await readSystemTraits()).toBeNull();
  await clock.advance(1000);
  expect(await readSystemTraits()).toBe(UPGRADED);
});

test('a release detected by one connection applies to the others at once', async () => {
  await readWithBoth();
  await upgrade();
  expect(await core.server.release()).toMatchObject({ systemTraits: true });
  expect(await Promise.all([readSystemTraits(), readSystemTraits()])).toEqual([UPGRADED, UPGRADED]);
});

test('a reverted upgrade fails one read of each earlier connection', async () => {
  await upgrade();
  await readWithBoth();
  await downgrade(database.url, '2.262.0');
  await Promise.all([1, 2].map(() => expect(readSystemTraits()).rejects.toThrow(CoreUnsupportedError)));
  expect(await Promise.all([readSystemTraits(), readSystemTraits()])).toEqual([null, null]);
});
