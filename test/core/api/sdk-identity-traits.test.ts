import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFixture, type Fixture, SERVER_KEY } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const identify = (body: unknown, headers = {}) => core.send('POST', 'identities/', { body, headers });
const trait = (trait_key: string, trait_value: unknown, more = {}) => ({ trait_key, trait_value, ...more });

describe('The traits of POST identities/', () => {
  it('ignores nulls for a new identity', async () => {
    await identify({ identifier: 'ann', traits: [trait('a', null), trait('b', 1)] });
    expect(await core.traits('ann')).toEqual({ b: 'int 1' });
  });

  it('fails on a duplicate key for a new identity, which stays without traits', async () => {
    expect((await identify({ identifier: 'ann', traits: [trait('a', 1), trait('a', 2)] })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({});
  });

  it('deletes nulls and sets the others of an identity that exists, leaving stale values in other columns', async () => {
    await core.addIdentity('ann', { gone: 'x', changed: 'y', kept: 'z' });
    const { body } = await identify({
      identifier: 'ann',
      traits: [trait('gone', null), trait('changed', 5), trait('new', 1)],
    });
    expect(body.traits.map((t: { trait_key: string; id: number | null }) => [t.trait_key, t.id])).toEqual([
      ['changed', 2],
      ['kept', 3],
      ['new', null],
    ]);
    expect(await core.traits('ann')).toEqual({ changed: 'int 5', kept: 'unicode z', new: 'int 1' });
    expect(await core.query("SELECT string_value FROM environments_trait WHERE trait_key = 'changed'")).toEqual([
      ['y'],
    ]);
  });

  it('of duplicate keys keeps the last if the key is stored, else the first although it answers the last', async () => {
    await core.addIdentity('ann', { stored: 'x' });
    const traits = [trait('stored', 1), trait('stored', 2), trait('new', 1), trait('new', 2)];
    const { body } = await identify({ identifier: 'ann', traits });
    expect(body.traits.map((t: { trait_value: unknown }) => t.trait_value)).toEqual([2, 2]);
    expect(await core.traits('ann')).toEqual({ stored: 'int 2', new: 'int 1' });
  });

  it('with null and a value for one key deletes it if stored although it answers the value, else stores it', async () => {
    await core.addIdentity('ann', { stored: 'x' });
    const traits = [trait('stored', 1), trait('stored', null), trait('new', null), trait('new', 2)];
    const { body } = await identify({ identifier: 'ann', traits });
    expect(body.traits.map((t: { trait_value: unknown }) => t.trait_value)).toEqual([1, 2]);
    expect(await core.traits('ann')).toEqual({ new: 'int 2' });
  });

  it('keeps what it deleted and updated when the new ones fail', async () => {
    await core.addIdentity('ann', { gone: 'x', changed: 'y' });
    const traits = [trait('gone', null), trait('changed', 1), trait('new', 2 ** 31)];
    expect((await identify({ identifier: 'ann', traits })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ changed: 'int 1' });
  });

  it('are dropped silently when clients may not set them, but for server keys', async () => {
    await core.query('UPDATE environments_environment SET allow_client_traits = false');
    await core.addIdentity('ann', { plan: 'gold' });
    const request = { identifier: 'ann', traits: [trait('plan', null), trait('age', 7)] };
    const { status, body } = await identify(request);
    expect([status, body.traits]).toEqual([200, [{ id: 1, trait_key: 'plan', trait_value: 'gold', transient: false }]]);
    expect((await identify({ ...request, identifier: 'new' })).body.traits).toEqual([]);
    expect(await core.traits('new')).toEqual({});
    await identify(request, { 'X-Environment-Key': SERVER_KEY });
    expect(await core.traits('ann')).toEqual({ age: 'int 7' });
  });

  it('are answered as stored and are not when the organisation does not persist them', async () => {
    await core.query('UPDATE organisations_organisation SET persist_trait_data = false');
    await core.addIdentity('ann', { plan: 'gold' });
    const { status, body } = await identify({ identifier: 'ann', traits: [trait('plan', null), trait('age', 7)] });
    expect(status).toBe(200);
    expect(body.traits).toContainEqual({ id: null, trait_key: 'age', trait_value: 7, transient: false });
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold' });
    await identify({ identifier: 'new', traits: [trait('age', 7)] });
    expect(await core.traits('new')).toEqual({});
  });

  it('are not shown when sensitive data is hidden, although stored', async () => {
    await core.query('UPDATE environments_environment SET hide_sensitive_data = true');
    expect((await identify({ identifier: 'ann', traits: [trait('age', 7)] })).body.traits).toEqual([]);
    expect(await core.traits('ann')).toEqual({ age: 'int 7' });
  });
});
