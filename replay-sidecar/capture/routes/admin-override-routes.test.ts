import { describe, expect, it } from 'vitest';

import { capture, events, lookupOf, REFUSED } from './testing.ts';

const E = 'environments/envkey';
const I = `${E}/identities/7`;
const WITHOUT_404 = REFUSED.filter((status) => status !== 404);

describe('POST …/identities/<id>/featurestates/', () => {
  const request = `POST ${I}/featurestates/`;

  it.each([201, 400, 500, 'unknown'] as const)('touches the override with %s', (answer) => {
    expect(events({ request, body: { feature: 31, enabled: true }, answer })).toEqual(['identity #7 overrides=31']);
  });

  it.each(['31', 31.9])('takes the feature %j as Python does', (feature) => {
    expect(events({ request, body: { feature } })).toEqual(['identity #7 overrides=31']);
  });

  it('touches all overrides when the feature is not known', () => {
    expect(events({ request, body: { feature: null }, answer: 500 })).toEqual(['identity #7 overrides=all']);
  });

  it('touches the identity that the body names as well', () => {
    const body = { feature: 31, identifier: 'bob', identity: 8 };
    expect(events({ request, body })).toEqual(['identity #7 overrides=31', 'identity bob overrides=31']);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request, body: { feature: 31 }, answer })).toEqual([]);
  });
});

describe('PUT and PATCH …/identities/<id>/featurestates/<id>/', () => {
  const request = `PUT ${I}/featurestates/9/`;
  const found = { id: 9, feature: 31, identity: 7 };

  it('touches the override that was there', () => {
    expect(lookupOf(request)).toBe('/api/v1/environments/envkey/identities/7/featurestates/9/');
    expect(events({ request, body: { enabled: true }, found })).toEqual(['identity #7 overrides=31']);
  });

  it.each([400, 500] as const)('may have changed its value with %i', (answer) => {
    expect(events({ request, body: { enabled: true }, found, answer })).toEqual(['identity #7 overrides=31']);
  });

  it('touches the identity that it moves to', () => {
    const body = { identity: 8, live_from: '2027-01-01T00:00:00Z' };
    expect(events({ request, body, found })).toEqual(['identity #7 overrides=31', 'identity #8 overrides=31']);
    const answer = { status: 200, json: { ...found, identity: 8 } };
    expect(events({ request, body: {}, found, answer })).toEqual([
      'identity #7 overrides=31',
      'identity #8 overrides=31',
    ]);
    expect(events({ request, body: { identifier: 'bob' }, found })).toContain('identity bob overrides=31');
  });

  it('touches the feature that it moves to', () => {
    expect(events({ request: `PATCH ${I}/featurestates/9/`, body: { feature: 32 }, found })).toEqual([
      'identity #7 overrides=31,32',
    ]);
  });

  it('touches all overrides when the lookup failed', () => {
    expect(events({ request, body: { feature: 31 } })).toEqual(['identity #7 overrides=all']);
  });

  it('takes the values that it names by id from another override, but not its own', () => {
    const body = (id: number) => ({ multivariate_feature_state_values: [{ id, multivariate_feature_option: 301 }] });
    const before = { ...found, multivariate_feature_state_values: [{ id: 15017 }] };
    expect(events({ request, body: body(15017), found: before })).toEqual(['identity #7 overrides=31']);
    const all = ['identity #7 overrides=31', 'feature 31 overrides=31', 'option 301'];
    expect(events({ request, body: body(15018), found: before })).toEqual(all);
    expect(events({ request, body: body(15017), found })).toEqual(all);
  });

  it.each(WITHOUT_404)('changes nothing with %i', (answer) => {
    expect(events({ request, body: {}, found, answer })).toEqual([]);
  });
});

describe('DELETE …/identities/<id>/featurestates/<id>/', () => {
  const request = `DELETE ${I}/featurestates/9/`;

  it('touches the override that was there, in either form in which Core names its feature', () => {
    expect(events({ request, found: { feature: 31 }, answer: 204 })).toEqual(['identity #7 overrides=31']);
    expect(events({ request, found: { feature: { id: 31 } }, answer: 204 })).toEqual(['identity #7 overrides=31']);
  });

  it('touches all overrides when the lookup failed', () => {
    expect(events({ request, answer: 204 })).toEqual(['identity #7 overrides=all']);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request, found: { feature: 31 }, answer })).toEqual([]);
  });
});

describe('POST …/featurestates/clone-from-given-identity/', () => {
  const request = `POST ${I}/featurestates/clone-from-given-identity/`;

  it.each([200, 500, 'unknown'] as const)('touches all overrides with %s', (answer) => {
    expect(events({ request, body: { source_identity_id: 8 }, answer })).toEqual(['identity #7 overrides=all']);
  });

  it.each([400, ...REFUSED])('changes nothing with %i', (answer) => {
    expect(events({ request, body: { source_identity_id: 8 }, answer })).toEqual([]);
  });
});

describe('POST features/featurestates/', () => {
  const request = 'POST features/featurestates/';
  const body = { feature: 31, environment: 5, enabled: true };

  it('touches the override of the identity that the body names', () => {
    expect(events({ request, body: { ...body, identity: 7 } })).toEqual(['identity #7 overrides=31']);
    expect(events({ request, body: { ...body, identifier: 'alice' } })).toEqual(['identity 5/alice overrides=31']);
    expect(events({ request: `${request.slice(0, -1)}.json`, body: { ...body, identity: 7 } })).toHaveLength(1);
  });

  it.each([400, 500, 'unknown'] as const)('may have created the override with %s', (answer) => {
    expect(events({ request, body: { ...body, identity: 7 }, answer })).toEqual(['identity #7 overrides=31']);
  });

  it.each([undefined, null])("leaves the environment's own states to Flagsmith (identity %j)", (identity) => {
    expect(events({ request, body: { ...body, identity }, answer: 201 })).toEqual([]);
    expect(events({ request, body: { ...body, identity }, answer: 'unknown' })).toEqual([]);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request, body: { ...body, identity: 7 }, answer })).toEqual([]);
  });
});

describe('PUT and PATCH features/featurestates/<id>/', () => {
  const request = 'PATCH features/featurestates/9/';
  const answer = (identity: number | null) => ({
    status: 200,
    json: { id: 9, feature: 31, environment: 5, identity },
  });

  it('touches the override that the answer shows', () => {
    expect(events({ request, body: { enabled: true }, answer: answer(7) })).toEqual(['identity #7 overrides=31']);
    expect(events({ request: 'PUT features/featurestates/9.json', body: {}, answer: answer(7) })).toHaveLength(1);
  });

  it("leaves the environment's own states to Flagsmith", () => {
    expect(events({ request, body: { enabled: true }, answer: answer(null) })).toEqual([]);
  });

  it('leaves the owner of the state to the applier when the body says that it has no identity', () => {
    const body = { enabled: true, identity: null };
    expect(events({ request, body, answer: answer(null) })).toEqual(['feature state 9 overrides=31']);
    expect(events({ request, body, answer: 'unknown' })).toEqual(['feature state 9']);
  });

  it('touches the override of every identity when it may have come from any', () => {
    expect(events({ request, body: { identity: 7 }, answer: answer(7) })).toEqual([
      'feature state 9 moved overrides=31',
      'identity #7 overrides=31',
    ]);
    expect(events({ request, body: { identifier: 'ann', environment: 5 }, answer: 'unknown' })).toEqual([
      'feature state 9 moved',
      'identity 5/ann overrides=all',
    ]);
  });

  it.each(['unknown', 500, 400] as const)('names the state alone without an answer that decides (%s)', (answer) => {
    expect(capture({ request, body: { enabled: true }, answer })).toMatchObject({
      drafts: [{ target: { kind: 'featureState', featureStateId: 9 } }],
      uncovered: undefined,
    });
  });

  it('reports that it cannot name a state by digits of another script', () => {
    const other = 'PATCH features/featurestates/%D9%A9/';
    expect(capture({ request: other, body: {}, answer: 500 }).uncovered).toEqual({ reason: 'unnamed', scope: [] });
    expect(capture({ request: 'PATCH features/featurestates/x/', body: {} }).uncovered).toBeUndefined();
  });

  it('takes the values that it names by id from any owner', () => {
    const body = { feature: 31, multivariate_feature_state_values: [{ id: 15017, multivariate_feature_option: 301 }] };
    expect(events({ request, body, answer: answer(null) })).toEqual(['feature 31 overrides=31', 'option 301']);
  });

  it.each(REFUSED)('changes nothing with %i', (status) => {
    expect(capture({ request, body: { identity: 7 }, answer: status })).toEqual({ drafts: [], uncovered: undefined });
  });
});

describe('POST environments/<env>/featurestates/', () => {
  const request = `POST ${E}/featurestates/`;

  it('touches the override of the identity that the body names', () => {
    expect(events({ request, body: { feature: 31, identity: 7 }, answer: 201 })).toEqual(['identity #7 overrides=31']);
    expect(events({ request, body: { feature: 31, identifier: 'alice' }, answer: 400 })).toEqual([
      'identity alice overrides=31',
    ]);
  });

  it("leaves the environment's own states to Flagsmith", () => {
    expect(events({ request, body: { feature: 31, enabled: true }, answer: 201 })).toEqual([]);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request, body: { feature: 31, identity: 7 }, answer })).toEqual([]);
  });
});

describe('PUT, PATCH and DELETE environments/<env>/featurestates/<id>/', () => {
  const path = `${E}/featurestates/9/`;
  const found = { id: 9, feature: 31, identity: 7 };

  it('looks up the override before, when the query lets it reach overrides', () => {
    expect(lookupOf(`DELETE ${path}?anyIdentity=x`)).toBe(
      '/api/v1/environments/envkey/featurestates/9/?anyIdentity=true',
    );
    expect(lookupOf(`PUT ${path}?anyIdentity=`)).toBe('/api/v1/environments/envkey/featurestates/9/?anyIdentity=true');
    expect(lookupOf(`PUT ${path}`)).toBeUndefined();
  });

  it.each(['PUT', 'PATCH', 'DELETE'])('%s touches the override that was there', (method) => {
    expect(events({ request: `${method} ${path}?anyIdentity=1`, body: {}, found })).toEqual([
      'identity #7 overrides=31',
    ]);
  });

  it('touches the identity that it moves to', () => {
    const request = `PUT ${path}?anyIdentity=1`;
    expect(events({ request, body: { identity: 8 }, found })).toEqual([
      'identity #7 overrides=31',
      'identity #8 overrides=31',
    ]);
  });

  it('touches the state, or every identity when it may have moved, when the lookup failed', () => {
    expect(events({ request: `DELETE ${path}?anyIdentity=1`, answer: 204 })).toEqual(['feature state 9']);
    expect(events({ request: `PUT ${path}?anyIdentity=1`, body: { feature: 31 } })).toEqual([
      'environment envkey overrides=31',
    ]);
  });

  it("leaves the environment's own states to Flagsmith, unless they become overrides", () => {
    expect(events({ request: `DELETE ${path}`, answer: 204 })).toEqual([]);
    expect(events({ request: `PUT ${path}`, body: { enabled: true } })).toEqual([]);
    expect(events({ request: `PUT ${path}`, body: { identity: 7, feature: 31 } })).toEqual([
      'identity #7 overrides=31',
    ]);
  });

  it.each(REFUSED)('changes nothing with %i', (answer) => {
    expect(events({ request: `DELETE ${path}?anyIdentity=1`, found, answer })).toEqual([]);
  });

  it.each(WITHOUT_404)('an update changes nothing with %i', (answer) => {
    expect(events({ request: `PUT ${path}?anyIdentity=1`, body: {}, found, answer })).toEqual([]);
  });
});
