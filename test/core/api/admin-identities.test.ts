import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_KEY, createFixture, type Fixture } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const IDENTITIES = `environments/${CLIENT_KEY}/identities/`;

describe('An admin route', () => {
  const get = (headers: Record<string, string>) => core.send('GET', IDENTITIES, { headers });
  const post = (headers: Record<string, string>) =>
    core.send('POST', IDENTITIES, { headers, body: { identifier: 'a' } });

  it.each([{}, { Authorization: 'Token wrong' }, { Authorization: 'Basic YTpi' }])(
    'answers 401 to %j',
    async (headers) => {
      const { status, body } = await get(headers as Record<string, string>);
      expect([status, Object.keys(body)]).toEqual([401, ['detail']]);
    },
  );

  it.each(['Token admin-token', 'Api-Key admin-token'])('takes %s', async (Authorization) => {
    expect((await post({ Authorization })).status).toBe(201);
  });

  it('lets viewers read and not write', async () => {
    const viewer = { Authorization: 'Token viewer-token' };
    expect((await get(viewer)).status).toBe(200);
    expect((await post(viewer)).status).toBe(403);
    expect(await core.identifiers()).toEqual([]);
  });
});

describe('Identities below an environment', () => {
  it('are created once, trimmed', async () => {
    const { status, body } = await core.admin('POST', IDENTITIES, { identifier: ' ann ' });
    expect([status, body]).toEqual([201, { id: 1, identifier: 'ann', environment: 1 }]);
    expect((await core.admin('POST', IDENTITIES, { identifier: 'ann' })).status).toBe(400);
    expect((await core.admin('POST', IDENTITIES, { identifier: 'x'.repeat(2001) })).status).toBe(400);
    expect(await core.identifiers()).toEqual(['ann']);
  });

  it('are found by id, by part of the identifier and by all of it in quotes', async () => {
    const id = await core.addIdentity('ann');
    await core.addIdentity('anna');
    expect((await core.admin('GET', `${IDENTITIES}${id}/`)).body).toEqual({ id, identifier: 'ann', environment: 1 });
    expect((await core.admin('GET', `${IDENTITIES}?q=NN`)).body.count).toBe(2);
    expect((await core.admin('GET', `${IDENTITIES}?q=%22ann%22`)).body.results).toHaveLength(1);
    expect((await core.admin('GET', `${IDENTITIES}?q=%25`)).body.count).toBe(0);
    expect((await core.admin('GET', `${IDENTITIES}?page=2&page_size=1`)).body.results[0].identifier).toBe('anna');
  });

  it.each(['PUT', 'PATCH'])(
    'are renamed by %s, but not to a name that is taken, not even by themselves',
    async (method) => {
      const id = await core.addIdentity('ann');
      const { status, body } = await core.admin(method, `${IDENTITIES}${id}/`, { identifier: 'bob' });
      expect([status, body.identifier]).toEqual([200, 'bob']);
      expect((await core.admin(method, `${IDENTITIES}${id}/`, { identifier: 'bob' })).status).toBe(400);
      expect(await core.identifiers()).toEqual(['bob']);
    },
  );

  it('are deleted for good, with traits and overrides', async () => {
    const id = await core.addIdentity('ann', { a: 'x' });
    await core.admin('POST', `${IDENTITIES}${id}/featurestates/`, { feature: 1, enabled: true });
    expect((await core.admin('DELETE', `${IDENTITIES}${id}/`)).status).toBe(204);
    for (const table of [
      'environments_identity',
      'environments_trait',
      'features_featurestate',
      'features_featurestatevalue',
    ]) {
      expect(await core.query(`SELECT count(*)::int FROM ${table}`)).toEqual([[0]]);
    }
    expect((await core.admin('DELETE', `${IDENTITIES}${id}/`)).status).toBe(404);
  });

  it.each(['99', 'abc', '99999999999'])('are not found by the id %s, nor in another environment', async (id) => {
    expect((await core.admin('GET', `${IDENTITIES}${id}/`)).status).toBe(404);
    const ann = await core.addIdentity('ann');
    expect((await core.admin('DELETE', `environments/other/identities/${ann}/`)).status).toBe(404);
  });
});

describe('Traits below an identity', () => {
  let traits: string;
  beforeEach(async () => {
    traits = `${IDENTITIES}${await core.addIdentity('ann', { plan: 'gold' })}/traits/`;
  });

  it('are created with a type and a value per column, which need not agree', async () => {
    const { status, body } = await core.admin('POST', traits, {
      trait_key: 'age',
      value_type: 'int',
      integer_value: 7,
    });
    expect([status, body]).toMatchObject([201, { trait_key: 'age', value_type: 'int', integer_value: 7 }]);
    await core.admin('POST', traits, { trait_key: 'odd', value_type: 'int', string_value: 'x' });
    await core.admin('POST', traits, { trait_key: 'text', string_value: ' x ' });
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold', age: 'int 7', odd: 'int', text: 'unicode x' });
  });

  it('fail on a duplicate key', async () => {
    expect((await core.admin('POST', traits, { trait_key: 'plan', string_value: 'x' })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold' });
  });

  it('can change type, value and key', async () => {
    expect((await core.admin('PATCH', `${traits}1/`, { value_type: 'float', float_value: 1.5 })).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ plan: 'float 1.5' });
    expect((await core.admin('PATCH', `${traits}1/`, { trait_key: 'renamed' })).body.trait_key).toBe('renamed');
    expect(await core.traits('ann')).toEqual({ renamed: 'float 1.5' });
    expect((await core.admin('PUT', `${traits}1/`, { float_value: 2 })).status).toBe(400);
  });

  it('are listed and shown', async () => {
    expect((await core.admin('GET', traits)).body.results).toHaveLength(1);
    expect((await core.admin('GET', `${traits}1/`)).body).toMatchObject({
      id: 1,
      trait_key: 'plan',
      string_value: 'gold',
    });
    expect((await core.admin('GET', `${traits}99/`)).status).toBe(404);
  });

  it('are deleted one by one', async () => {
    await core.addIdentity('bob', { plan: 'free' });
    expect((await core.admin('DELETE', `${traits}1/`)).status).toBe(204);
    expect(await core.traits('ann')).toEqual({});
    expect(await core.traits('bob')).toEqual({ plan: 'unicode free' });
  });

  it.each(['true', 'True'])('are deleted by key from all identities with deleteAllMatchingTraits=%s', async (value) => {
    await core.addIdentity('bob', { plan: 'free', other: 'x' });
    await core.admin('DELETE', `${traits}1/?deleteAllMatchingTraits=${value}`);
    expect([await core.traits('ann'), await core.traits('bob')]).toEqual([{}, { other: 'unicode x' }]);
  });

  it.each(['1', 'TRUE', ''])('are deleted alone with deleteAllMatchingTraits=%s', async (value) => {
    await core.addIdentity('bob', { plan: 'free' });
    await core.admin('DELETE', `${traits}1/?deleteAllMatchingTraits=${value}`);
    expect(await core.traits('bob')).toEqual({ plan: 'unicode free' });
  });

  it('cannot be written when the organisation does not persist them', async () => {
    await core.query('UPDATE organisations_organisation SET persist_trait_data = false');
    expect((await core.admin('POST', traits, { trait_key: 'a', string_value: 'x' })).status).toBe(500);
    expect((await core.admin('PATCH', `${traits}1/`, { string_value: 'x' })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold' });
  });
});

describe('POST environments/<key>/delete-traits/', () => {
  const path = `environments/${CLIENT_KEY}/delete-traits/`;

  it('deletes the key from every identity of the environment and answers nothing', async () => {
    await core.addIdentity('ann', { plan: 'gold' });
    await core.addIdentity('bob', { plan: 'free', other: 'x' });
    const { status, text } = await core.admin('POST', path, { key: 'plan' });
    expect([status, text]).toEqual([200, '']);
    expect([await core.traits('ann'), await core.traits('bob')]).toEqual([{}, { other: 'unicode x' }]);
  });

  it('refuses a missing key', async () => {
    expect((await core.admin('POST', path, {})).status).toBe(400);
  });
});
