import { describe, expect, it } from 'vitest';

import { captureLong, events } from './testing.ts';

describe('POST traits/', () => {
  const body = { identity: { identifier: ' alice ' }, trait_key: 'plan', trait_value: 'gold', transient: true };

  it.each(['traits/', 'traits/.json', 'traits/.json/'])('%s touches the trait, transient or not', (path) => {
    expect(events({ request: `POST ${path}`, body })).toEqual(['identity alice traits=plan']);
  });

  it('reads a form', () => {
    const form = 'identity.identifier=alice&trait_key=plan&trait_value=';
    const type = 'application/x-www-form-urlencoded';
    expect(events({ request: 'POST traits/', type, body: form })).toEqual(['identity alice traits=plan']);
  });

  it('yields an event for a 500: the identity may have been created', () => {
    const long = { ...body, trait_key: 'k'.repeat(201) };
    expect(events({ request: 'POST traits/', body: long, answer: 500 })).toEqual(['identity alice']);
  });

  it.each([400, 403] as const)('yields none for a %i', (answer) => {
    expect(events({ request: 'POST traits/', body, answer })).toEqual([]);
  });

  it.for([null, 'alice', ['alice'], {}, { identifier: null }])('yields none for the identity %j', (identity) => {
    expect(events({ request: 'POST traits/', body: { ...body, identity }, answer: 'unknown' })).toEqual([]);
  });

  it.each(['traits', 'trait/', 'traits/x/'])('%s is no route', (path) => {
    expect(events({ request: `POST ${path}`, body })).toEqual([]);
  });
});

describe('PUT traits/bulk/', () => {
  const request = 'PUT traits/bulk/';
  const item = (identifier: unknown, trait_key: unknown, trait_value?: unknown) => ({
    identity: { identifier },
    trait_key,
    ...(trait_value !== undefined && { trait_value }),
  });

  it('touches the traits of every identity that it names', () => {
    const body = [item('alice', 'plan', 1), item('bob', 'plan', 2), item('alice', 'age', 3)];
    expect(events({ request, body })).toEqual(['identity alice traits=plan,age', 'identity bob traits=plan']);
  });

  it('deletes by the raw identifier and key, and sets by the trimmed ones', () => {
    const body = [item(' alice ', ' plan ', null), item(' alice ', ' plan ', 1), item(' bob', ' age')];
    expect(events({ request, body })).toEqual([
      'identity alice traits=plan',
      'identity  alice  traits= plan ',
      'identity  bob traits= age',
    ]);
  });

  it('deletes by the text that Python makes of a non-text value', () => {
    const body =
      '[{"identity": {"identifier": 1.50}, "trait_key": [1, "a", null]}, {"identity": {"identifier": true}, "trait_key": 1e16}]';
    expect(events({ request, body })).toEqual(["identity 1.5 traits=[1, 'a', None]", 'identity True traits=1e+16']);
  });

  it.each([200, 400, 500, 'unknown'] as const)('may have deleted and set traits with %s', (answer) => {
    const body = [item('alice', 'plan', null), item('alice', '', 1)];
    expect(events({ request, body, answer })).toEqual(['identity alice traits=plan']);
  });

  it.each([403, 405, 415] as const)('changes nothing with %i', (answer) => {
    expect(events({ request, body: [item('alice', 'plan', null)], answer })).toEqual([]);
  });

  it.for([
    {},
    { identity: { identifier: 'alice' }, trait_key: 'plan' },
    [],
    [1, 'x', null, []],
    [{ trait_key: 'plan' }],
  ])('names nothing in %j', (body) => {
    expect(events({ request, body, answer: 'unknown' })).toEqual([]);
  });

  it('accepts only JSON', () => {
    const form = '[0]identity.identifier=alice&[0]trait_key=plan';
    expect(events({ request, type: 'application/x-www-form-urlencoded', body: form, answer: 'unknown' })).toEqual([]);
  });

  it.each(['POST traits/bulk/', 'PUT traits/bulk'])('%s is no route', (other) => {
    expect(events({ request: other, body: [item('alice', 'plan', null)] })).toEqual([]);
  });

  it('makes as many events as there are identities', async () => {
    const body = Array.from({ length: 4000 }, (_, index) => item(`user-${index}`, 'plan', index));
    expect((await captureLong({ request, body })).drafts).toHaveLength(4000);
  });
});

describe('POST traits/increment-value/', () => {
  const request = 'POST traits/increment-value/';
  const body = { identifier: 'alice', trait_key: 'count', increment_by: 1 };

  it('touches the trait', () => {
    expect(events({ request, body })).toEqual(['identity alice traits=count']);
  });

  it('yields an event for a 500, after which the trait may be there with 0', () => {
    expect(events({ request, body, answer: 500 })).toEqual(['identity alice traits=count']);
  });

  it.each([400, 403] as const)('yields none for a %i', (answer) => {
    expect(events({ request, body, answer })).toEqual([]);
  });

  it.each(['PUT traits/increment-value/', 'POST traits/increment-value'])('%s is no route', (other) => {
    expect(events({ request: other, body })).toEqual([]);
  });
});
