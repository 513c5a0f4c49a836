import { describe, expect, it } from 'vitest';

import { type CapturedExchange, capture, events, lookupOf, REFUSED } from './testing.ts';

const E = 'environments/envkey';
const I = `${E}/identities/7`;

describe('POST environments/<env>/identities/', () => {
  const exchange: CapturedExchange = { request: `POST ${E}/identities/`, body: { identifier: ' alice ' } };

  it('creates the identity in the environment of the path', () => {
    expect(capture({ ...exchange, answer: 201 }).drafts[0]?.target).toEqual({
      kind: 'identity',
      environment: { clientKey: 'envkey' },
      identifier: 'alice',
    });
  });

  it('may have created the identity with a 500', () => {
    expect(events({ ...exchange, answer: 500 })).toEqual(['identity alice']);
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ ...exchange, answer })).toEqual([]);
  });

  it.each([`POST ${E}/identities`, `GET ${E}/identities/`, `POST ser.k/identities/`])('%s is no route', (request) => {
    expect(events({ ...exchange, request })).toEqual([]);
  });
});

describe('PUT and PATCH …/identities/<id>/', () => {
  const exchange = (method: string): CapturedExchange => ({ request: `${method} ${I}/`, body: { identifier: 'bob' } });

  it('looks up the identity before', () => {
    expect(lookupOf(`PUT ${I}/`)).toBe('/api/v1/environments/envkey/identities/7/');
  });

  it.each(['PUT', 'PATCH'])('%s checks the old name and the new one', (method) => {
    expect(events({ ...exchange(method), found: { id: 7, identifier: 'alice' } })).toEqual([
      'identity alice',
      'identity bob moved',
    ]);
  });

  it('takes the new name from the answer, too', () => {
    const answer = { status: 200, json: { id: 7, identifier: 'carol' } };
    expect(events({ ...exchange('PUT'), found: { identifier: 'alice' }, answer })).toEqual([
      'identity alice',
      'identity bob moved',
      'identity carol moved',
    ]);
  });

  it('checks every identity of the environment when the old name is not known', () => {
    expect(events(exchange('PUT'))).toEqual(['environment envkey', 'identity bob moved']);
    expect(events({ ...exchange('PUT'), found: { detail: 'Not found.' } })).toContain('environment envkey');
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ ...exchange('PUT'), found: { identifier: 'alice' }, answer })).toEqual([]);
  });
});

describe('DELETE …/identities/<id>/', () => {
  it('checks the identity that was there', () => {
    expect(lookupOf(`DELETE ${I}/`)).toBe('/api/v1/environments/envkey/identities/7/');
    expect(events({ request: `DELETE ${I}/`, found: { identifier: 'alice' }, answer: 204 })).toEqual([
      'identity alice',
    ]);
  });

  it.each([500, 'unknown'] as const)('may have deleted the identity with %s', (answer) => {
    expect(events({ request: `DELETE ${I}/`, found: { identifier: 'alice' }, answer })).toEqual(['identity alice']);
  });

  it('checks every identity of the environment when the lookup failed', () => {
    expect(events({ request: `DELETE ${I}/`, answer: 204 })).toEqual(['environment envkey']);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request: `DELETE ${I}/`, found: { identifier: 'alice' }, answer })).toEqual([]);
  });
});
