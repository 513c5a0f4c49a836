import { describe, expect, it } from 'vitest';

import { planCapture } from './plan.ts';
import { ROUTES } from './table.ts';
import { capture, events, headOf } from './testing.ts';

const F = 'projects/42/features/31';

function outcomeOf(request: string): string | undefined {
  const plan = planCapture(headOf({ request }));
  return plan?.kind === 'write' ? plan.request.route.outcome : undefined;
}

describe('features and their options', () => {
  it.each([
    `DELETE ${F}/`,
    `POST ${F}/mv-options/`,
    `PUT ${F}/mv-options/7/`,
    `PATCH ${F}/mv-options/7/`,
    `DELETE ${F}/mv-options/7/`,
  ])('%s touches every override of the feature', (request) => {
    expect(events({ request, body: {}, answer: 204 })).toEqual(['feature 42/31 overrides=31']);
    expect(events({ request, body: {}, answer: 500 })).toEqual(['feature 42/31 overrides=31']);
    expect(events({ request, body: {}, answer: 403 })).toEqual([]);
  });

  it.each([
    `GET ${F}/`,
    `POST projects/42/features/`,
    `DELETE ${F}`,
    `POST ${F}/add-owners/`,
    'DELETE projects/x/features/y/',
  ])('%s touches none', (request) => {
    expect(events({ request, body: {} })).toEqual([]);
  });

  it('an update touches them when what they embed is not as before', () => {
    const request = `PUT ${F}/`;
    const before = { id: 31, name: 'button', type: 'STANDARD', multivariate_options: [], description: '' };
    const body = { name: 'button', multivariate_options: [] };
    const answer = (after: object) => ({ status: 200, json: { ...before, ...after } });
    expect(events({ request, body, found: before, answer: answer({ description: 'new' }) })).toEqual([]);
    expect(events({ request, body: { description: 'x' }, answer: 200 })).toEqual([]);
    const changed = ['feature 42/31 overrides=31'];
    expect(events({ request, body, found: before, answer: answer({ type: 'MULTIVARIATE' }) })).toEqual(changed);
    expect(events({ request, body, answer: answer({}) })).toEqual(changed);
    expect(events({ request, body, found: before, answer: 500 })).toEqual(changed);
  });
});

describe('environments', () => {
  it.each(['DELETE environments/envkey/', 'DELETE environments/envkey.json'])(
    '%s takes its identities with it',
    (request) => {
      expect(events({ request, answer: 204 })).toEqual(['environment envkey']);
      expect(events({ request, answer: 403 })).toEqual([]);
    },
  );

  it.each(['PUT', 'PATCH'])('%s with another api_key renames every document', (method) => {
    const request = `${method} environments/envkey/`;
    const answer = { status: 200, json: { id: 5, api_key: 'newkey' } };
    expect(events({ request, body: { api_key: 'newkey' }, answer })).toEqual([
      'environment envkey',
      'environment 5 moved',
    ]);
    expect(events({ request, body: { api_key: 'newkey' }, answer: 'unknown' })).toEqual([
      'environment envkey',
      'environment newkey moved',
    ]);
  });

  it('an update without another api_key changes no identity', () => {
    const request = 'PUT environments/envkey/';
    expect(events({ request, body: { name: 'x' }, answer: 'unknown' })).toEqual([]);
    expect(events({ request, body: { api_key: 'envkey' }, answer: 'unknown' })).toEqual([]);
    const answer = { status: 200, json: { id: 5, api_key: 'envkey' } };
    expect(events({ request, body: { name: 'x' }, answer })).toEqual([]);
    expect(events({ request, body: { api_key: 'newkey' }, answer: 400 })).toEqual([]);
  });

  it.each(['enable', 'disable'])('%s-v2-versioning changes in the background which overrides count', (action) => {
    const request = `POST environments/envkey/${action}-v2-versioning/`;
    expect(events({ request, answer: 202 })).toEqual(['environment envkey overrides=all']);
    expect(outcomeOf(request)).toBe('background');
    expect(events({ request, answer: 400 })).toEqual([]);
  });

  it('cohorts create identities in the background', () => {
    expect(events({ request: 'POST environments/envkey/cohorts/', answer: 201 })).toEqual(['environment envkey']);
    expect(events({ request: 'DELETE environments/envkey/cohorts/3/', answer: 204 })).toEqual(['environment envkey']);
    expect(outcomeOf('PATCH environments/envkey/cohorts/3/')).toBe('background');
    expect(events({ request: 'GET environments/envkey/cohorts/' })).toEqual([]);
  });

  it.each(['POST environments/', 'POST environments/envkey/clone/', 'PUT environments/envkey/webhooks/3/'])(
    '%s changes no identity',
    (request) => {
      expect(events({ request, body: { api_key: 'x' } })).toEqual([]);
    },
  );
});

describe('projects and organisations', () => {
  it('DELETE projects/<p>/ takes its identities with it, in the background', () => {
    expect(events({ request: 'DELETE projects/42/', answer: 204 })).toEqual(['project 42']);
    expect(outcomeOf('DELETE projects/42/')).toBe('background');
    expect(events({ request: 'DELETE projects/42/', answer: 403 })).toEqual([]);
    expect(events({ request: 'PUT projects/42/', body: {} })).toEqual([]);
  });

  it('an import from LaunchDarkly creates identities with a trait and overrides', () => {
    const request = 'POST projects/42/imports/launch-darkly/';
    expect(events({ request, answer: 201 })).toEqual(['project 42 traits=key overrides=all']);
    expect(outcomeOf(request)).toBe('background');
    expect(events({ request, answer: 400 })).toEqual([]);
  });

  it('a feature import touches the overrides of the environment', () => {
    const request = 'POST features/feature-import/5';
    expect(events({ request, answer: 201 })).toEqual(['environment 5 overrides=all']);
    expect(outcomeOf(request)).toBe('background');
    expect(events({ request: 'POST features/feature-import/5/' })).toEqual([]);
    expect(events({ request, answer: 403 })).toEqual([]);
  });

  it('DELETE organisations/<o>/ takes its projects with it', () => {
    const request = 'DELETE organisations/3/';
    const plan = planCapture(headOf({ request }));
    expect(plan).toMatchObject({ lookup: { target: '/api/v1/projects/?organisation=3' } });
    expect(events({ request, found: [{ id: 42 }, { id: 43 }], answer: 204 })).toEqual(['project 42', 'project 43']);
    expect(capture({ request, found: { results: [{ id: 42 }], next: 'x' }, answer: 204 })).toMatchObject({
      drafts: [{ target: { projectId: 42 } }],
      uncovered: { reason: 'unnamed' },
    });
    expect(capture({ request, answer: 204 }).uncovered).toEqual({ reason: 'unnamed', environment: undefined });
    expect(events({ request, found: [{ id: 42 }], answer: 403 })).toEqual([]);
  });
});

describe('the Django admin', () => {
  it.each(['/admin/environments/identity/7/change/', '/admin/features/feature/', '/%61dmin/traits/trait/add/'])(
    'a saved form at %s is a write that no event can name',
    (path) => {
      expect(capture({ request: `POST ${path}`, answer: 302 }).uncovered).toEqual({
        reason: 'unnamed',
        environment: undefined,
      });
      expect(capture({ request: `POST ${path}`, answer: 200 }).uncovered).toBeUndefined();
    },
  );

  it.each(['POST /admin/login/', 'GET /admin/environments/identity/7/change/', 'POST /admin/users/ffadminuser/'])(
    '%s changes no identity',
    (request) => {
      expect(capture({ request, answer: 302 }).uncovered).toBeUndefined();
    },
  );
});

describe('the route table', () => {
  it('has a name of its own for each row, short enough for an event', () => {
    const names = ROUTES.map((route) => route.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.length > 64)).toEqual([]);
  });

  it('never takes a refusal or a missing permission for a change', () => {
    for (const route of ROUTES) {
      expect(route.changed.filter((status) => [401, 403, 405].includes(status))).toEqual([]);
    }
  });
});
