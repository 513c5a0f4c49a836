import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_KEY, createFixture, type Fixture, SERVER_KEY } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const MULTIPART = (fields: [string, string][]) => {
  const body = new FormData();
  for (const [name, value] of fields) body.append(name, value);
  return { body };
};

describe('A form', () => {
  const fields: [string, string][] = [
    ['identifier', ' ann '],
    ['traits[1]trait_key', 'b'],
    ['traits[1]trait_value', '7'],
    ['traits[0]trait_key', 'a'],
    ['traits[0]trait_value', ''],
  ];

  it.each([
    ['URL-encoded', { body: new URLSearchParams(fields).toString(), headers: FORM }],
    ['multipart', MULTIPART(fields)],
  ])('names traits by their position and knows text only; an empty value is null (%s)', async (_kind, sent) => {
    await core.addIdentity('ann', { a: 'x' });
    expect((await core.send('POST', 'identities/', sent)).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ b: 'unicode 7' });
  });

  it.each([
    ['URL-encoded', { body: 'identity.identifier=ann&trait_key=k&trait_value=a%20b', headers: FORM }],
    [
      'multipart',
      MULTIPART([
        ['identity.identifier', 'ann'],
        ['trait_key', 'k'],
        ['trait_value', 'a b'],
      ]),
    ],
  ])('names the identity with a dot (%s)', async (_kind, sent) => {
    expect((await core.send('POST', 'traits/', sent)).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ k: 'unicode a b' });
  });

  it('takes the last of duplicate fields', async () => {
    await core.send('POST', 'identities/', { body: 'identifier=a&identifier=b', headers: FORM });
    expect(await core.identifiers()).toEqual(['b']);
  });

  it('works for increments and the deprecated route, but not for bulk', async () => {
    const send = (method: string, path: string, body: string) => core.send(method, path, { body, headers: FORM });
    expect((await send('POST', 'traits/increment-value/', 'identifier=a&trait_key=n&increment_by=2')).status).toBe(200);
    expect((await send('POST', 'identities/a/traits/t', 'trait_value=x')).status).toBe(200);
    expect((await send('PUT', 'traits/bulk/', 'identity.identifier=a&trait_key=n')).status).toBe(400);
    expect(await core.traits('a')).toEqual({ n: 'int 2', t: 'unicode x' });
  });

  it('is refused when it is multipart without its boundary', async () => {
    const sent = { body: 'x', headers: { 'Content-Type': 'multipart/form-data' } };
    expect((await core.send('POST', 'identities/', sent)).status).toBe(400);
  });
});

describe('The environment key', () => {
  const get = (key: string | undefined) =>
    core.send('GET', 'identities/?identifier=ann', { headers: key === undefined ? {} : { 'X-Environment-Key': key } });

  it.each(['', 'unknown', 'CLIENT-KEY', 'ser.unknown'])('"%s" is refused', async (key) => {
    const { status, body } = await get(key);
    expect([status, Object.keys(body)]).toEqual([403, ['detail']]);
  });

  it('may be the client key or a server key, also one that is inactive and expired', async () => {
    expect((await get(CLIENT_KEY)).status).toBe(200);
    expect((await get(SERVER_KEY)).status).toBe(200);
  });

  it.each([
    'UPDATE environments_environment SET deleted_at = now()',
    'UPDATE organisations_organisation SET stop_serving_flags = true',
  ])('is refused after %s', async (change) => {
    await core.query(change);
    expect([(await get(CLIENT_KEY)).status, (await get(SERVER_KEY)).status]).toEqual([403, 403]);
    expect(await core.identifiers()).toEqual([]);
  });

  it('is looked at before the method and the body', async () => {
    const headers = { 'X-Environment-Key': 'unknown' };
    expect((await core.send('DELETE', 'identities/', { headers })).status).toBe(403);
    expect((await core.send('POST', 'identities/', { headers, body: '{' })).status).toBe(403);
  });
});

describe('What the API knows of an environment', () => {
  it('lags behind by as long as it is cached', async () => {
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

describe('A path', () => {
  it.each([
    ['POST', 'identities', '/api/v1/identities/'],
    ['POST', 'traits?a=b', '/api/v1/traits/?a=b'],
    ['PUT', 'traits/bulk', '/api/v1/traits/bulk/'],
    ['GET', 'identities/ann', '/api/v1/identities/ann/'],
  ])('without its slash is redirected: %s %s', async (method, path, location) => {
    const { status, headers } = await core.send(method, path, method === 'GET' ? {} : { body: { identifier: 'ann' } });
    expect([status, headers.get('location')]).toEqual([301, location]);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each(['nothing', 'nothing/', 'identities/ann/traits/'.slice(0, 0)])(
    'that leads nowhere is 404: "%s"',
    async (path) => {
      expect((await core.send('GET', path)).status).toBe(404);
    },
  );

  it('is answered with the methods it knows on OPTIONS', async () => {
    const { status, headers } = await core.send('OPTIONS', 'identities/');
    expect([status, headers.get('allow')]).toEqual([200, 'GET, POST, HEAD, OPTIONS']);
  });

  it('for health checks needs no key', async () => {
    for (const path of ['liveness', 'readiness']) {
      expect((await fetch(`${core.api.url}/health/${path}/`)).status).toBe(200);
    }
  });
});
