import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFixture, type Fixture } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const identify = (body: unknown, headers = {}) => core.send('POST', 'identities/', { body, headers });
const trait = (trait_key: string, trait_value: unknown, more = {}) => ({ trait_key, trait_value, ...more });

describe('POST identities/', () => {
  it('creates the identity with its traits and answers them with an empty list of flags', async () => {
    const { status, body, headers } = await identify({ identifier: 'ann', traits: [trait('plan', 'gold')] });
    expect(status).toBe(200);
    expect(body).toEqual({
      identifier: 'ann',
      traits: [{ id: 1, trait_key: 'plan', trait_value: 'gold', transient: false }],
      flags: [],
    });
    expect(headers.get('flagsmith-version')).toBe('fixture');
    expect(Number(headers.get('x-flagsmith-document-updated-at'))).toBeGreaterThan(0);
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold' });
  });

  it('keeps the types of values, also of 2 and 2.0, and stores lists and objects as Python prints them', async () => {
    const body = `{"identifier": "types", "traits": [{"trait_key": "int", "trait_value": 2},
      {"trait_key": "float", "trait_value": 2.0}, {"trait_key": "bool", "trait_value": true},
      {"trait_key": "text", "trait_value": " padded "}, {"trait_key": "list", "trait_value": [1, 2.0, "it's", null]},
      {"trait_key": "object", "trait_value": {"b": true, "1": {}}}]}`;
    const { status, text } = await identify(body);
    expect(status).toBe(200);
    expect(text).toContain('"trait_key":"float","trait_value":2.0');
    expect(await core.traits('types')).toEqual({
      int: 'int 2',
      float: 'float 2',
      bool: 'bool true',
      text: 'unicode  padded ',
      list: `unicode [1, 2.0, "it's", None]`,
      object: `unicode {'b': True, '1': {}}`,
    });
  });

  it.each([
    ['a number', '5', '5'],
    ['a float', '1.0', '1.0'],
    ['no-break and ideographic space around it', '"\\u00a0ann\\u3000"', 'ann'],
    ['a unit separator around it', '"\\u001fann"', 'ann'],
    ['a zero-width space around it', '"\\u200bann"', '\u200bann'],
    ['the last of duplicate keys', '"first", "identifier": "last"', 'last'],
  ])('takes as identifier %s', async (_what, json, identifier) => {
    expect((await identify(`{"identifier": ${json}}`)).status).toBe(200);
    expect(await core.identifiers()).toEqual([identifier]);
  });

  it.each(['true', '["a"]', '{"a": 1}', '"\\u0000"', '"a\\ud800"'])('refuses the identifier %s', async (json) => {
    const { status, body } = await identify(`{"identifier": ${json}}`);
    expect(status).toBe(400);
    expect(Object.keys(body)).toEqual(['identifier']);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each(['{"a": NaN}', '{"a": Infinity}', '{', '[1] 2', '{"a": 01}', "{'a': 1}", '{"a": "\t"}'])(
    'does not parse %s',
    async (json) => {
      const { status, body } = await identify(json);
      expect([status, body.detail]).toEqual([400, expect.stringContaining('JSON parse error')]);
    },
  );

  it('refuses a body that is no object, and other content types', async () => {
    expect((await identify('[]')).body).toEqual({
      non_field_errors: ['Invalid data. Expected a dictionary, but got list.'],
    });
    expect((await identify('a: 1', { 'Content-Type': 'application/yaml' })).status).toBe(415);
  });

  it('names each trait at fault by its position', async () => {
    const { status, body } = await identify({ identifier: 'ann', traits: [trait('a', 1), { trait_key: ' ' }] });
    expect(status).toBe(400);
    expect(body).toEqual({
      traits: [{}, { trait_key: ['This field may not be blank.'], trait_value: ['This field is required.'] }],
    });
    expect(await core.identifiers()).toEqual([]);
  });

  it.each([
    ['value of more than 2000 characters, also when a list is that long as text', trait('a', ['x'.repeat(2000)])],
    ['key of more than 200 characters', trait('k'.repeat(201), 1)],
  ])('refuses a %s', async (_what, item) => {
    expect((await identify({ identifier: 'ann', traits: [item] })).status).toBe(400);
    expect(await core.identifiers()).toEqual([]);
  });

  it('counts characters, not UTF-16 units', async () => {
    const traits = [trait('🔑'.repeat(200), '🔒'.repeat(2000))];
    expect((await identify({ identifier: '😀'.repeat(300), traits })).status).toBe(200);
  });

  it('fails on an identifier of more than 2000 characters without a trace', async () => {
    expect((await identify({ identifier: 'x'.repeat(2001) })).status).toBe(500);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each([
    ['an integer beyond 32 bits', `2147483648`],
    ['text with NUL', `"a\\u0000"`],
    ['text with a lone surrogate', `"\\ud800"`],
  ])('creates the identity but none of its traits when one is %s, and answers 500', async (_what, value) => {
    const traits = `[{"trait_key": "good", "trait_value": 1}, {"trait_key": "bad", "trait_value": ${value}}]`;
    expect((await identify(`{"identifier": "ann", "traits": ${traits}}`)).status).toBe(500);
    expect(await core.traits('ann')).toEqual({});
  });

  it('stores a float overflow as infinity and then fails to answer it', async () => {
    const body = '{"identifier": "ann", "traits": [{"trait_key": "a", "trait_value": 1e999}]}';
    expect((await identify(body)).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ a: 'float Infinity' });
  });
});

describe('POST identities/ for a transient identity', () => {
  it.each(['{}', '{"identifier": null}', '{"identifier": ""}', '{"identifier": " "}'])(
    'answers %s with a generated identifier and stores nothing',
    async (json) => {
      const { status, body } = await identify(json);
      expect(status).toBe(200);
      expect(body.identifier).toMatch(/^[0-9a-f]{32}$/);
      expect(await core.identifiers()).toEqual([]);
    },
  );

  it('derives the generated identifier from the traits', async () => {
    const both = [trait('b', 'x'), trait('a', 1)];
    const first = await identify({ traits: both });
    const second = await identify({ traits: both.toReversed() });
    expect(first.body.identifier).toMatch(/^[0-9a-f]{64}$/);
    expect(second.body.identifier).toBe(first.body.identifier);
    expect(first.body.traits[0]).toMatchObject({ id: null, transient: true });
  });

  it('stores nothing when told that the identity is transient, but shows what is stored', async () => {
    await core.addIdentity('ann', { plan: 'gold', age: '7' });
    const body = { identifier: 'ann', transient: true, traits: [trait('plan', 'free'), trait('new', 1)] };
    const answer = await identify(body);
    expect(answer.body.traits.map((t: { trait_value: unknown }) => t.trait_value)).toEqual(['free', '7', 1]);
    expect(await core.traits('ann')).toEqual({ plan: 'unicode gold', age: 'unicode 7' });
    await identify({ ...body, identifier: 'bob' });
    expect(await core.identifiers()).toEqual(['ann']);
  });

  it.each(['"yes"', '"T"', '1', '"on"', '"1"', '1.0'])('takes transient %s for true', async (json) => {
    await identify(`{"identifier": "ann", "transient": ${json}}`);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each(['false', '"off"', '0', '"F"'])('takes transient %s for false', async (json) => {
    await identify(`{"identifier": "ann", "transient": ${json}}`);
    expect(await core.identifiers()).toEqual(['ann']);
  });

  it.each(['null', '"maybe"', '2', '[]'])('refuses transient %s', async (json) => {
    expect((await identify(`{"identifier": "ann", "transient": ${json}}`)).status).toBe(400);
  });

  it('neither writes nor deletes a trait that is transient by itself', async () => {
    await core.addIdentity('ann', { kept: 'old' });
    const traits = [trait('kept', null, { transient: true }), trait('other', 'x', { transient: true }), trait('b', 2)];
    const { body } = await identify({ identifier: 'ann', traits });
    expect(body.traits).toContainEqual({ id: null, trait_key: 'other', trait_value: 'x', transient: true });
    expect(await core.traits('ann')).toEqual({ kept: 'unicode old', b: 'int 2' });
  });
});

describe('GET identities/', () => {
  it.each(['GET', 'HEAD'])('creates the identity on %s, untrimmed', async (method) => {
    expect((await core.send(method, 'identities/?identifier=%20ann+')).status).toBe(200);
    expect(await core.identifiers()).toEqual([' ann ']);
  });

  it('answers the stored traits', async () => {
    await core.addIdentity('ann', { plan: 'gold' });
    const { body } = await core.send('GET', 'identities/?identifier=ann');
    expect(body.traits).toEqual([{ id: 1, trait_key: 'plan', trait_value: 'gold', transient: false }]);
  });

  it.each(['identities/', 'identities/?identifier='])('answers %s with 200 and a detail', async (path) => {
    const { status, body } = await core.send('GET', path);
    expect([status, body]).toEqual([200, { detail: 'Missing identifier' }]);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each(['true', 'false', '0'])('stores nothing and reads no traits with transient=%s', async (value) => {
    await core.addIdentity('ann', { plan: 'gold' });
    const { body } = await core.send('GET', `identities/?identifier=ann&transient=${value}`);
    expect(body.traits).toEqual([]);
    await core.send('GET', `identities/?identifier=new&transient=${value}`);
    expect(await core.identifiers()).toEqual(['ann']);
  });

  it('creates the identity when transient is empty', async () => {
    await core.send('GET', 'identities/?identifier=new&transient=');
    expect(await core.identifiers()).toEqual(['new']);
  });

  it('fails on NUL', async () => {
    expect((await core.send('GET', 'identities/?identifier=%00')).status).toBe(500);
  });
});

describe('The deprecated routes that name the identifier in the path', () => {
  it.each([
    ['identities/ann/', 'ann'],
    ['identities/ann/anything/at%20all', 'ann'],
    ['identities/%E3%81%82%40x.y/', 'あ@x.y'],
    ['identities/100%2541/', '100%41'],
  ])('create the identity on GET %s', async (path, identifier) => {
    const { status, body } = await core.send('GET', path);
    expect([status, body]).toEqual([200, { flags: [], traits: [], segments: [] }]);
    expect(await core.identifiers()).toEqual([identifier]);
  });

  it('create the identity on GET flags/<identifier> without a slash, not with one', async () => {
    expect((await core.send('GET', 'flags/ann')).body).toEqual([]);
    expect((await core.send('GET', 'flags/bob/')).status).toBe(404);
    expect(await core.identifiers()).toEqual(['ann']);
  });

  it('do not know POST, nor identifiers with other characters', async () => {
    expect((await core.send('POST', 'identities/ann/', { body: {} })).status).toBe(405);
    expect((await core.send('GET', 'identities/a+b/')).status).toBe(404);
    expect(await core.identifiers()).toEqual([]);
  });
});
