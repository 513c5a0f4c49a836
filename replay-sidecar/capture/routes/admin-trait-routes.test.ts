import { describe, expect, it } from 'vitest';

import { type CapturedExchange, capture, events, lookupOf, REFUSED } from './testing.ts';

const E = 'environments/envkey';
const I = `${E}/identities/7`;

describe('POST …/identities/<id>/traits/', () => {
  const exchange: CapturedExchange = {
    request: `POST ${I}/traits/`,
    body: { trait_key: ' plan ', string_value: 'gold' },
  };

  it('touches the trait', () => {
    expect(events({ ...exchange, answer: 201 })).toEqual(['identity #7 traits=plan']);
    expect(capture({ ...exchange, answer: 201 }).drafts[0]?.traitGates).toEqual(['persistTraitData']);
  });

  it('may have created the trait with a 500', () => {
    expect(events({ ...exchange, answer: 500 })).toEqual(['identity #7 traits=plan']);
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ ...exchange, answer })).toEqual([]);
  });

  it.each(['0', '-1', 'x', '99999999999'])('changes nothing under the id %s', (id) => {
    expect(events({ ...exchange, request: `POST ${E}/identities/${id}/traits/` })).toEqual([]);
  });

  it.each(['%207', '%2B7', '0_7'])('accepts the id %s as Python does', (id) => {
    expect(events({ ...exchange, request: `POST ${E}/identities/${id}/traits/` })).toEqual(['identity #7 traits=plan']);
  });
});

describe('PUT and PATCH …/traits/<id>/', () => {
  const request = `PATCH ${I}/traits/3/`;

  it('touches the key before and the key after', () => {
    expect(lookupOf(request)).toBe('/api/v1/environments/envkey/identities/7/traits/3/');
    const exchange: CapturedExchange = { request, body: { trait_key: 'tier' }, found: { id: 3, trait_key: 'plan' } };
    expect(events(exchange)).toEqual(['identity #7 traits=plan,tier']);
    expect(events({ ...exchange, request: `PUT ${I}/traits/3/`, body: { string_value: 'x' } })).toEqual([
      'identity #7 traits=plan',
    ]);
  });

  it('touches all traits of the identity when the key before is not known', () => {
    const answer = { status: 200, json: { id: 3, trait_key: 'tier' } };
    expect(events({ request, body: { trait_key: 'tier' }, answer })).toEqual(['identity #7 traits=all']);
    expect(events({ request, body: {}, answer: 'unknown' })).toEqual(['identity #7 traits=all']);
  });

  it('touches the trait that the answer names when the request names none: its key is the same as before', () => {
    const answer = { status: 200, json: { id: 3, trait_key: 'tier' } };
    expect(events({ request, body: { string_value: 'x' }, answer })).toEqual(['identity #7 traits=tier']);
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ request, body: { trait_key: 'tier' }, found: { trait_key: 'plan' }, answer })).toEqual([]);
  });
});

describe('DELETE …/traits/<id>/', () => {
  const request = `DELETE ${I}/traits/3/`;
  const found = { id: 3, trait_key: 'plan' };

  it('touches the trait that was there', () => {
    expect(events({ request, found, answer: 204 })).toEqual(['identity #7 traits=plan']);
  });

  it.each(['true', 'True'])('touches it on every identity with deleteAllMatchingTraits=%s', (value) => {
    const all = `${request}?deleteAllMatchingTraits=${value}`;
    expect(events({ request: all, found, answer: 204 })).toEqual(['environment envkey traits=plan']);
    expect(events({ request: all, answer: 204 })).toEqual(['environment envkey traits=all']);
  });

  it.each(['TRUE', '1', 'false', ''])('touches one identity with deleteAllMatchingTraits=%s', (value) => {
    const one = `${request}?deleteAllMatchingTraits=${value}`;
    expect(events({ request: one, found, answer: 204 })).toEqual(['identity #7 traits=plan']);
  });

  it('touches all traits of the identity when the lookup failed', () => {
    expect(events({ request, answer: 204 })).toEqual(['identity #7 traits=all']);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request, found, answer })).toEqual([]);
  });
});

describe('POST environments/<env>/delete-traits/', () => {
  const body = { key: ' plan ' };

  it.each([`${E}/delete-traits/`, `${E}/delete-traits.json`])('%s touches the trait of every identity', (path) => {
    expect(events({ request: `POST ${path}`, body })).toEqual(['environment envkey traits=plan']);
  });

  it('may have deleted some traits with a 500', () => {
    expect(events({ request: `POST ${E}/delete-traits/`, body, answer: 500 })).toEqual([
      'environment envkey traits=plan',
    ]);
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ request: `POST ${E}/delete-traits/`, body, answer })).toEqual([]);
  });

  it('changes nothing without a key', () => {
    expect(events({ request: `POST ${E}/delete-traits/`, body: {}, answer: 'unknown' })).toEqual([]);
  });
});
