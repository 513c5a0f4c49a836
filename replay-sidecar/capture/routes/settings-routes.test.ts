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
  const override = 'feature 31 overrides=31';
  const plain = { id: 31, name: 'button', type: 'STANDARD', multivariate_options: [], description: '' };
  const multivariate = { ...plain, type: 'MULTIVARIATE', multivariate_options: [{ id: 7 }, { id: 8 }] };

  it.each([
    [`DELETE ${F}/`, undefined, [override, 'features of projectId 42']],
    [`DELETE ${F}/`, multivariate, [override, 'features of projectId 42']],
    [`DELETE ${F}/`, plain, [override]],
    [`POST ${F}/mv-options/`, undefined, [override]],
    [`PUT ${F}/mv-options/7/`, undefined, [override, 'option 7']],
    [`PATCH ${F}/mv-options/7/`, undefined, [override, 'option 7']],
    [`DELETE ${F}/mv-options/7/`, undefined, [override, 'features of projectId 42']],
  ])('%s, for %j, touches every override of the feature, and those that hold its options', (request, found, all) => {
    expect(events({ request, body: {}, found, answer: 204 })).toEqual(all);
    expect(events({ request, body: {}, found, answer: 500 })).toEqual(all);
    expect(events({ request, body: {}, found, answer: 403 })).toEqual([]);
  });

  it.each([
    `GET ${F}/`,
    `POST projects/42/features/`,
    `DELETE ${F}`,
    `POST ${F}/add-owners/`,
    'DELETE projects/x/features/y/',
  ])('%s touches no override', (request) => {
    expect(events({ request, body: {} })).toEqual([]);
  });

  it('an option may be put on the feature that the body names, in any project', () => {
    const other = 'feature 109 overrides=109';
    expect(events({ request: `POST ${F}/mv-options/`, body: { feature: 109 }, answer: 201 })).toEqual([
      override,
      other,
    ]);
    expect(events({ request: `PATCH ${F}/mv-options/7/`, body: { feature: '109' } })).toEqual([
      override,
      other,
      'option 7',
    ]);
    const answer = { status: 201, json: { id: 7, feature: 109 } };
    expect(events({ request: `POST ${F}/mv-options/`, body: {}, answer })).toEqual([override, other]);
  });

  it('an update of a feature touches its overrides when what they embed has changed', () => {
    const request = `PUT ${F}/`;
    const body = { name: 'button', multivariate_options: [] };
    const answer = (after: object) => ({ status: 200, json: { ...plain, ...after } });
    expect(events({ request, body, found: plain, answer: answer({ description: 'new' }) })).toEqual([]);
    expect(events({ request, body: { description: 'x' }, answer: 200 })).toEqual([]);
    expect(events({ request, body, found: plain, answer: answer({ type: 'MULTIVARIATE' }) })).toEqual([override]);
    expect(events({ request, body, found: plain, answer: 500 })).toEqual([override]);
    expect(events({ request, body: { name: 'b' }, answer: answer({}) })).toEqual([override]);
  });

  it('an update of a feature takes the options that it names, and deletes the others', () => {
    const request = `PATCH ${F}/`;
    const body = { multivariate_options: [{ id: 7 }, { pk: '301' }, { string_value: 'new' }] };
    expect(events({ request, body, found: multivariate })).toEqual([
      override,
      'option 301',
      'features of projectId 42',
    ]);
    expect(events({ request, body: { multivariate_options: [{ id: 7 }, { id: 8 }] }, found: multivariate })).toEqual([
      override,
    ]);
    expect(events({ request, body })).toEqual([override, 'option 7', 'option 301', 'features of projectId 42']);
  });

  it.each(['POST', 'PUT'])('%s of a version may take the values of an override of its feature', (method) => {
    const request = `${method} environments/5/features/31/versions/`;
    expect(events({ request, body: {}, answer: 201 })).toEqual([override]);
  });

  it('a segment override takes the values that it names by id, and no others', () => {
    const request = 'POST environments/envkey/features/31/create-segment-override/';
    const values = (value: object) => ({ multivariate_feature_state_values: [value] });
    const option = { multivariate_feature_option: 7, percentage_allocation: 5 };
    expect(events({ request, body: values(option), answer: 201 })).toEqual([]);
    expect(events({ request, body: values({ ...option, id: 15017 }), answer: 201 })).toEqual([override, 'option 7']);
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
    expect(events({ request: 'DELETE projects/42/', answer: 204 })).toEqual([
      'project 42',
      'features of projectId 42',
      'deleted projects',
    ]);
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

  it('a feature import touches the overrides of the environment, and all that embed a feature of its project', () => {
    const request = 'POST features/feature-import/5';
    expect(events({ request, answer: 201 })).toEqual(['environment 5 overrides=all', 'features of environmentId 5']);
    expect(outcomeOf(request)).toBe('background');
    expect(events({ request: 'POST features/feature-import/5/' })).toEqual([]);
    expect(events({ request, answer: 403 })).toEqual([]);
  });

  it('DELETE organisations/<o>/ takes its projects with it', () => {
    const request = 'DELETE organisations/3/';
    const plan = planCapture(headOf({ request }));
    expect(plan).toMatchObject({ lookup: { target: '/api/v1/projects/?organisation=3' } });
    const all = [
      ...['project 42', 'features of projectId 42', 'project 43', 'features of projectId 43'],
      'deleted projects',
    ];
    expect(events({ request, found: [{ id: 42 }, { id: 43 }], answer: 204 })).toEqual(all);
    expect(capture({ request, answer: 204 })).toMatchObject({
      drafts: [{ target: { kind: 'deletedProjects' } }],
      uncovered: undefined,
    });
    expect(events({ request, found: [{ id: 42 }], answer: 403 })).toEqual([]);
  });
});

describe('accounts', () => {
  it.each(['DELETE auth/users/me/', 'DELETE auth/users/me.json', 'DELETE auth/users/2/'])(
    '%s may take organisations with it, in the background',
    (request) => {
      expect(events({ request, answer: 204 })).toEqual(['deleted projects']);
      expect(outcomeOf(request)).toBe('background');
      expect(events({ request, answer: 400 })).toEqual([]);
      expect(events({ request, answer: 401 })).toEqual([]);
    },
  );

  it.each(['PATCH auth/users/me/', 'DELETE auth/token/', 'POST auth/users/'])('%s takes no organisation', (request) => {
    expect(events({ request })).toEqual([]);
  });
});

describe('the Django admin', () => {
  it.each(['/admin/environments/identity/7/change/', '/admin/features/feature/', '/%61dmin/traits/trait/add/'])(
    'a saved form at %s is a write that no event can name',
    (path) => {
      expect(capture({ request: `POST ${path}`, answer: 302 }).uncovered).toEqual({ reason: 'unnamed', scope: [] });
      expect(capture({ request: `POST ${path}`, answer: 200 }).uncovered).toBeUndefined();
    },
  );

  it('a form that Core cannot have read was still saved if it redirects', () => {
    const exchange = { request: 'POST /admin/features/feature/add/', type: 'text/plain', body: 'x' };
    expect(capture({ ...exchange, answer: 302 }).uncovered).toBeDefined();
    expect(capture({ ...exchange, answer: { status: 302, location: '/admin/login/' } }).uncovered).toBeUndefined();
  });

  it.each([
    ['application/x-www-form-urlencoded', 'name=x&_popup=1'],
    ['multipart/form-data; boundary=b', '--b\r\nContent-Disposition: form-data; name="_popup"\r\n\r\n1\r\n--b--\r\n'],
    ['application/x-www-form-urlencoded; charset=cp037', 'name=x'],
  ])('a form in a pop-up may be saved although it answers 200: %s %j', (type, body) => {
    const exchange = { request: 'POST /admin/features/feature/add/', type, body };
    expect(capture({ ...exchange, answer: 200 }).uncovered).toBeDefined();
    expect(capture({ ...exchange, answer: 400 }).uncovered).toBeUndefined();
  });

  it.each([
    ['/admin/projects/project/21/change/', { projectId: 21 }],
    ['/admin/environments/environment/41/delete/', { environmentId: 41 }],
    ['/admin/organisations/organisation/11/change/', { organisationId: 11 }],
    ['/admin/features/feature/101/change/', { featureId: 101 }],
  ])('a saved form at %s names its scope', (path, scope) => {
    expect(capture({ request: `POST ${path}`, answer: 302 }).uncovered).toEqual({ reason: 'unnamed', scope: [scope] });
  });

  it.each(['/admin/login/?next=/admin/', 'https://flags.example/admin/login/'])(
    'a redirect to %s proves that nothing was saved',
    (location) => {
      const request = 'POST /admin/features/feature/';
      expect(capture({ request, answer: { status: 302, location } }).uncovered).toBeUndefined();
      for (const saved of ['/admin/features/feature/?next=/admin/login/', '/login/', '/admin/']) {
        expect(capture({ request, answer: { status: 302, location: saved } }).uncovered).toBeDefined();
      }
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
  it('has a unique name for each row, short enough for an event', () => {
    const names = ROUTES.map((route) => route.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.length > 64)).toEqual([]);
  });

  it('never treats a refusal or a missing permission as a change', () => {
    for (const route of ROUTES) {
      expect(route.changed.filter((status) => [401, 403, 405].includes(status))).toEqual([]);
    }
  });
});
