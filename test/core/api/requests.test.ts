import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_KEY, createFixture, type Fixture } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

describe('An API token', () => {
  const identities = `environments/${CLIENT_KEY}/identities/`;
  const create = (Authorization: string) =>
    core.send('POST', identities, { headers: { Authorization }, body: { identifier: 'a' } });

  it.each(['Token admin-token', 'Api-Key admin-token'])('of an admin may write: %s', async (authorization) => {
    expect((await create(authorization)).status).toBe(201);
  });

  it('of a viewer may read, and not write', async () => {
    const Authorization = 'Token viewer-token';
    expect((await core.send('GET', identities, { headers: { Authorization } })).status).toBe(200);
    expect((await create(Authorization)).status).toBe(403);
    expect(await core.identifiers()).toEqual([]);
  });
});

describe("The API's cached view of an environment", () => {
  it('is stale for as long as it is cached', async () => {
    let now = 0;
    const clock = { now: () => now, monotonic: () => now, sleep: async () => {} };
    await using cached = await createFixture({ environmentCacheSeconds: 60, clock });
    const get = async () => (await cached.send('GET', 'identities/?identifier=ann')).status;
    expect(await get()).toBe(200);
    await cached.query('UPDATE environments_environment SET deleted_at = now()');
    now = 59_999;
    expect(await get()).toBe(200);
    now = 60_000;
    expect(await get()).toBe(403);
  });
});

describe('A bulk request', () => {
  it('may have thousands of items', async () => {
    const items = Array.from({ length: 2000 }, (_, index) => ({
      identity: { identifier: 'ann' },
      trait_key: `k${index}`,
      trait_value: index,
    }));
    expect((await core.send('PUT', 'traits/bulk/', { body: items })).body).toHaveLength(2000);
  });
});
