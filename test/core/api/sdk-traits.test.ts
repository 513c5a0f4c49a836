import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFixture, type Fixture, SERVER_KEY } from './testing/fixture.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const item = (identifier: unknown, trait_key: unknown, trait_value: unknown) => ({
  identity: { identifier },
  trait_key,
  trait_value,
});
const set = (body: unknown, headers = {}) => core.send('POST', 'traits/', { body, headers });
const bulk = (body: unknown, headers = {}) => core.send('PUT', 'traits/bulk/', { body, headers });
const increment = (body: unknown) => core.send('POST', 'traits/increment-value/', { body });
const setByPath = (path: string, body: unknown, headers = {}) =>
  core.send('POST', `identities/${path}`, { body, headers });

describe('POST traits/', () => {
  it.each(['traits/', 'traits/.json'])('creates identity and trait, echoing the request (%s)', async (path) => {
    const answer = await core.send('POST', path, { body: item('ann', 'age', 7) });
    expect([answer.status, answer.body]).toEqual([200, item('ann', 'age', 7)]);
    expect(await core.traits('ann')).toEqual({ age: 'int 7' });
  });

  it('changes a trait that exists, whatever its type was, and knows no transient ones', async () => {
    await core.addIdentity('ann', { age: 'seven' });
    await set({ ...item('ann', 'age', 7.5), transient: true });
    expect(await core.traits('ann')).toEqual({ age: 'float 7.5' });
  });

  it.each([
    ['a null value', item('ann', 'age', null), { trait_value: ['This field may not be null.'] }],
    [
      'a missing value',
      { identity: { identifier: 'ann' }, trait_key: 'a' },
      { trait_value: ['This field is required.'] },
    ],
    ['a blank key', item('ann', ' ', 1), { trait_key: ['This field may not be blank.'] }],
    ['a blank identifier', item('', 'a', 1), { identity: { identifier: ['This field may not be blank.'] } }],
    ['no identity', { trait_key: 'a', trait_value: 1 }, { identity: ['This field is required.'] }],
  ])('refuses %s', async (_what, body, messages) => {
    const answer = await set(body);
    expect([answer.status, answer.body]).toEqual([400, messages]);
    expect(await core.identifiers()).toEqual([]);
  });

  it.each([
    ['a key of more than 200 characters', item('ann', 'k'.repeat(201), 1)],
    ['an integer beyond 32 bits', item('ann', 'age', 2 ** 31)],
  ])('creates the identity and fails on %s', async (_what, body) => {
    expect((await set(body)).status).toBe(500);
    expect(await core.traits('ann')).toEqual({});
  });

  it('refuses client keys when clients may not set traits', async () => {
    await core.query('UPDATE environments_environment SET allow_client_traits = false');
    const answer = await set(item('ann', 'age', 7));
    expect([answer.status, answer.body]).toEqual([
      400,
      { non_field_errors: ['Setting traits not allowed with client key.'] },
    ]);
    expect((await set(item('ann', 'age', 7), { 'X-Environment-Key': SERVER_KEY })).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ age: 'int 7' });
  });
});

describe('PUT traits/bulk/', () => {
  it('sets traits of several identities and answers what was not null', async () => {
    await core.addIdentity('ann', { gone: 'x' });
    const items = [item('ann', 'a', 1), item('bob', 'b', 'two'), item('ann', 'gone', null)];
    const { status, body } = await bulk(items);
    expect([status, body]).toEqual([200, items.slice(0, 2)]);
    expect(await core.traits('ann')).toEqual({ a: 'int 1' });
    expect(await core.traits('bob')).toEqual({ b: 'unicode two' });
  });

  it('creates no identity just to delete from it, and trims nothing where it deletes', async () => {
    await core.addIdentity('ann', { gone: 'x' });
    await bulk([
      item('nobody', 'a', null),
      item(' ann', 'gone', null),
      { identity: { identifier: 'ann' }, trait_key: 'gone ' },
    ]);
    expect(await core.identifiers()).toEqual(['ann']);
    expect(await core.traits('ann')).toEqual({ gone: 'unicode x' });
    await bulk([{ identity: { identifier: 'ann' }, trait_key: 'gone' }]);
    expect(await core.traits('ann')).toEqual({});
  });

  it('keeps what it deleted although it then refuses another item', async () => {
    await core.addIdentity('ann', { gone: 'x' });
    const { status, body } = await bulk([item('ann', 'gone', null), item('ann', 'a', 1), item('ann', '', 1)]);
    expect([status, body]).toEqual([400, [{}, { trait_key: ['This field may not be blank.'] }]]);
    expect(await core.traits('ann')).toEqual({});
  });

  it('keeps what it wrote to earlier identities when a later one fails', async () => {
    const { status } = await bulk([
      item('ann', 'a', 1),
      item('bob', 'b', 2 ** 31),
      item('cid', 'c', 3),
      item('ann', 'd', 4),
    ]);
    expect(status).toBe(500);
    expect(await core.traits('ann')).toEqual({ a: 'int 1', d: 'int 4' });
    expect(await core.traits('bob')).toEqual({});
    expect(await core.identifiers()).toEqual(['ann', 'bob']);
  });

  it('of duplicate keys keeps the last if stored, else the first, also for a new identity', async () => {
    await core.addIdentity('ann', { stored: 'x' });
    const twice = (identifier: string, key: string) => [item(identifier, key, 1), item(identifier, key, 2)];
    expect((await bulk([...twice('ann', 'stored'), ...twice('ann', 'a'), ...twice('new', 'a')])).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ stored: 'int 2', a: 'int 1' });
    expect(await core.traits('new')).toEqual({ a: 'int 1' });
  });

  it('with null and a value for one key always stores the value', async () => {
    await core.addIdentity('ann', { stored: 'x' });
    await bulk([item('ann', 'stored', 1), item('ann', 'stored', null)]);
    expect(await core.traits('ann')).toEqual({ stored: 'int 1' });
  });

  it.each([
    ['an object', { a: 1 }],
    ['a list of numbers', [1]],
    ['null', null],
    ['an identity that is text', [{ identity: 'ann', trait_key: 'a' }]],
  ])('refuses %s', async (_what, body) => {
    const answer = await bulk(JSON.stringify(body));
    expect([answer.status, answer.body]).toEqual([400, { detail: 'Invalid request data' }]);
  });

  it('fails on a null without an identity before it deletes anything', async () => {
    await core.addIdentity('ann', { gone: 'x' });
    expect((await bulk([item('ann', 'gone', null), { trait_key: 'a', trait_value: null }])).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ gone: 'unicode x' });
  });

  it('refuses client keys with a page when clients may not set traits', async () => {
    await core.query('UPDATE environments_environment SET allow_client_traits = false');
    const { status, headers } = await bulk([item('ann', 'a', 1)]);
    expect([status, headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    expect((await bulk([item('ann', 'a', 1)], { 'X-Environment-Key': SERVER_KEY })).status).toBe(200);
  });

  it('takes thousands of items', async () => {
    const items = Array.from({ length: 4000 }, (_, index) => item('ann', `key-${index}`, 'x'.repeat(1500)));
    expect((await bulk(items)).status).toBe(200);
    expect(Object.keys((await core.traits('ann')) ?? {})).toHaveLength(4000);
  });

  it('knows no POST', async () => {
    expect((await core.send('POST', 'traits/bulk/', { body: [] })).status).toBe(405);
  });
});

describe('POST traits/increment-value/', () => {
  it('counts from zero, and on from what is stored', async () => {
    const answer = await increment({ identifier: 'ann', trait_key: 'n', increment_by: 3 });
    expect([answer.status, answer.body]).toEqual([200, { trait_key: 'n', trait_value: 3, identifier: 'ann' }]);
    await increment({ identifier: 'ann', trait_key: 'n', increment_by: '-2' });
    expect(await core.traits('ann')).toEqual({ n: 'int 1' });
  });

  it.each(['"2"', '" 2 "', '2.0', '"+2"', '"2.00"'])('takes %s for two', async (json) => {
    await increment(`{"identifier": "ann", "trait_key": "n", "increment_by": ${json}}`);
    expect(await core.traits('ann')).toEqual({ n: 'int 2' });
  });

  it.each(['1.5', '"x"', 'true', 'null', '[]'])('refuses to increment by %s', async (json) => {
    const { status } = await increment(`{"identifier": "ann", "trait_key": "n", "increment_by": ${json}}`);
    expect(status).toBe(400);
    expect(await core.identifiers()).toEqual([]);
  });

  it('refuses a trait of another type', async () => {
    await core.addIdentity('ann', { n: '5' });
    const answer = await increment({ identifier: 'ann', trait_key: 'n', increment_by: 1 });
    expect([answer.status, answer.body]).toEqual([400, ['Trait is not an integer.']]);
  });

  it('leaves a new trait at 0 when the sum is beyond 32 bits, and just the identity when the key is too long', async () => {
    expect((await increment({ identifier: 'ann', trait_key: 'n', increment_by: 2 ** 31 })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({ n: 'int 0' });
    expect((await increment({ identifier: 'bob', trait_key: 'k'.repeat(201), increment_by: 1 })).status).toBe(500);
    expect(await core.traits('bob')).toEqual({});
  });

  it('refuses client keys when clients may not set traits', async () => {
    await core.query('UPDATE environments_environment SET allow_client_traits = false');
    const { status, body } = await increment({ identifier: 'ann', trait_key: 'n', increment_by: 1 });
    expect([status, Object.keys(body)]).toEqual([400, ['non_field_errors']]);
  });
});

describe('POST identities/<identifier>/traits/<key>', () => {
  it('creates identity and trait and answers the trait', async () => {
    const { status, body } = await setByPath('ann@x.y/traits/a.b-c', { trait_value: 7 });
    expect([status, body]).toEqual([200, { id: 1, trait_key: 'a.b-c', trait_value: 7, transient: false }]);
    expect(await core.traits('ann@x.y')).toEqual({ 'a.b-c': 'int 7' });
  });

  it('sets the trait to NULL on null instead of deleting it', async () => {
    await core.addIdentity('ann', { a: 'x' });
    expect((await setByPath('ann/traits/a', { trait_value: null })).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ a: 'unicode' });
  });

  it('lets clients set traits even when they may not', async () => {
    await core.query('UPDATE environments_environment SET allow_client_traits = false');
    expect((await setByPath('ann/traits/a', { trait_value: 'x' })).status).toBe(200);
    expect(await core.traits('ann')).toEqual({ a: 'unicode x' });
  });

  it.each([
    ['a list', [1]],
    ['an object', { a: 1 }],
    ['an integer beyond 32 bits', 2 ** 31],
    ['more than 2000 characters', 'x'.repeat(2001)],
  ])('leaves a new trait NULL when it refuses %s', async (_what, trait_value) => {
    expect((await setByPath('ann/traits/a', { trait_value })).status).toBe(400);
    expect(await core.traits('ann')).toEqual({ a: 'unicode' });
  });

  it('keeps the value that was stored when it refuses the new one', async () => {
    await core.addIdentity('ann', { a: 'x' });
    expect((await setByPath('ann/traits/a', { trait_value: [1] })).status).toBe(400);
    expect(await core.traits('ann')).toEqual({ a: 'unicode x' });
  });

  it('refuses a missing value without a trace', async () => {
    const { status, body } = await setByPath('ann/traits/a', {});
    expect([status, body]).toEqual([400, { detail: 'Trait value not provided' }]);
    expect(await core.identifiers()).toEqual([]);
  });

  it('with a slash at its end is another route, which knows no POST', async () => {
    expect((await setByPath('ann/traits/a/', { trait_value: 1 })).status).toBe(405);
  });
});

describe('An organisation that does not persist traits', () => {
  beforeEach(() => core.query('UPDATE organisations_organisation SET persist_trait_data = false'));

  it('is refused by traits/, increment and bulk', async () => {
    const answers = [
      await set(item('ann', 'a', 1)),
      await increment({ identifier: 'ann', trait_key: 'n', increment_by: 1 }),
      await bulk([item('ann', 'a', 1)]),
    ];
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(await core.identifiers()).toEqual([]);
  });

  it('gets its identity created by the deprecated route, which then fails', async () => {
    expect((await setByPath('ann/traits/a', { trait_value: 1 })).status).toBe(500);
    expect(await core.traits('ann')).toEqual({});
  });
});

describe('Formats in the path', () => {
  it.each([
    ['PUT', 'traits/bulk.json', [item('ann', 'a', 1)]],
    ['POST', 'traits/increment-value.json', { identifier: 'ann', trait_key: 'n', increment_by: 1 }],
  ])('make %s %s fail without effect', async (method, path, body) => {
    expect((await core.send(method, path, { body })).status).toBe(500);
    expect(await core.identifiers()).toEqual([]);
  });
});
