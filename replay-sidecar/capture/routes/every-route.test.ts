/** Each row of the route table with one request that leaves an event and a similar one that leaves none. */
import { describe, expect, it } from 'vitest';

import { ROUTES } from './table.ts';
import { type CapturedExchange, capture, events } from './testing.ts';

interface Sample {
  readonly writes: CapturedExchange;
  readonly event: string;
  /** Differs in the part that Core decides by. */
  readonly leavesNone: CapturedExchange;
}

const ENV = 'environments/envkey';
const ANN = `${ENV}/identities/7`;
const FEATURE = 'projects/42/features/31';
const bulk = (value: unknown) => [{ identity: { identifier: 'ann' }, trait_key: 'plan', trait_value: value }];

const SAMPLES: Readonly<Record<string, Sample>> = {
  'sdk.identify': {
    writes: { request: 'POST identities/', body: { identifier: 'ann', traits: [{ trait_key: 'plan' }] } },
    event: 'identity ann traits=plan',
    leavesNone: { request: 'POST identities/', body: { identifier: 'ann', transient: true } },
  },
  'sdk.readIdentity': {
    writes: { request: 'HEAD identities/?identifier=ann' },
    event: 'identity ann',
    leavesNone: { request: 'HEAD identities/?identifier=ann&transient=false' },
  },
  'sdk.readIdentityByPath': {
    writes: { request: 'GET identities/ann/' },
    event: 'identity ann',
    leavesNone: { request: 'GET identities/ann' },
  },
  'sdk.readFlagsByPath': {
    writes: { request: 'GET flags/ann' },
    event: 'identity ann',
    leavesNone: { request: 'GET flags/ann/' },
  },
  'sdk.setTraitByPath': {
    writes: { request: 'POST identities/ann/traits/plan', body: { trait_value: null } },
    event: 'identity ann traits=plan',
    leavesNone: { request: 'POST identities/ann/traits/plan/', body: { trait_value: null } },
  },
  'sdk.setTrait': {
    writes: { request: 'POST traits/', body: { identity: { identifier: 'ann' }, trait_key: 'plan', transient: true } },
    event: 'identity ann traits=plan',
    leavesNone: { request: 'POST traits/', body: { identifier: 'ann', trait_key: 'plan' } },
  },
  'sdk.bulkTraits': {
    writes: { request: 'PUT traits/bulk/', body: bulk(null), answer: 400 },
    event: 'identity ann traits=plan',
    leavesNone: { request: 'POST traits/bulk/', body: bulk(null) },
  },
  'sdk.incrementTrait': {
    writes: { request: 'POST traits/increment-value/', body: { identifier: 'ann', trait_key: 'n', increment_by: 1 } },
    event: 'identity ann traits=n',
    leavesNone: { request: 'POST traits/increment-value/', body: { trait_key: 'n', increment_by: 1 } },
  },
  'admin.createIdentity': {
    writes: { request: `POST ${ENV}/identities/`, body: { identifier: 'ann' }, answer: 201 },
    event: 'identity ann',
    leavesNone: { request: `POST ${ENV}/identities/`, body: { identifier: 'ann' }, answer: 400 },
  },
  'admin.renameIdentity': {
    writes: { request: `PUT ${ANN}/`, body: { identifier: 'bob' }, found: { identifier: 'ann' }, answer: 500 },
    event: 'identity bob moved',
    leavesNone: { request: `PUT ${ANN}/`, body: { identifier: 'ann' }, found: { identifier: 'ann' }, answer: 400 },
  },
  'admin.deleteIdentity': {
    writes: { request: `DELETE ${ANN}/`, found: { identifier: 'ann' }, answer: 204 },
    event: 'identity ann',
    leavesNone: { request: `DELETE ${ANN}`, found: { identifier: 'ann' }, answer: 204 },
  },
  'admin.createTrait': {
    writes: { request: `POST ${ANN}/traits/`, body: { trait_key: 'plan' }, answer: 500 },
    event: 'identity #7 traits=plan',
    leavesNone: { request: `GET ${ANN}/traits/`, body: { trait_key: 'plan' } },
  },
  'admin.updateTrait': {
    writes: { request: `PUT ${ANN}/traits/3/`, body: { trait_key: 'b' }, found: { trait_key: 'a' }, answer: 'unknown' },
    event: 'identity #7 traits=a,b',
    leavesNone: { request: `GET ${ANN}/traits/3/`, found: { trait_key: 'a' } },
  },
  'admin.deleteTrait': {
    writes: { request: `DELETE ${ANN}/traits/3/`, found: { trait_key: 'a' }, answer: 'unknown' },
    event: 'identity #7 traits=a',
    leavesNone: { request: `DELETE ${ANN}/traits/`, answer: 405 },
  },
  'admin.deleteTraitKey': {
    writes: { request: `POST ${ENV}/delete-traits/`, body: { key: 'plan' } },
    event: 'environment envkey traits=plan',
    leavesNone: { request: `POST ${ENV}/delete-traits/`, body: { key: '' } },
  },
  'admin.createOverride': {
    writes: { request: `POST ${ANN}/featurestates/`, body: { feature: 31 }, answer: 201 },
    event: 'identity #7 overrides=31',
    leavesNone: { request: `GET ${ANN}/featurestates/` },
  },
  'admin.cloneOverrides': {
    writes: { request: `POST ${ANN}/featurestates/clone-from-given-identity/`, body: { source_identity_id: 8 } },
    event: 'identity #7 overrides=all',
    leavesNone: { request: `POST ${ANN}/featurestates/clone-from-given-identity/`, body: {}, answer: 400 },
  },
  'admin.updateOverride': {
    writes: { request: `PATCH ${ANN}/featurestates/9/`, body: { enabled: true }, found: { feature: 31 } },
    event: 'identity #7 overrides=31',
    leavesNone: { request: `GET ${ANN}/featurestates/9/`, found: { feature: 31 } },
  },
  'admin.deleteOverride': {
    writes: { request: `DELETE ${ANN}/featurestates/9/`, found: { feature: 31 }, answer: 204 },
    event: 'identity #7 overrides=31',
    leavesNone: { request: `DELETE ${ANN}/featurestates/9/`, found: { feature: 31 }, answer: 405 },
  },
  'admin.createFeatureState': {
    writes: { request: 'POST features/featurestates/', body: { feature: 31, identity: 7 }, answer: 201 },
    event: 'identity #7 overrides=31',
    leavesNone: { request: 'POST features/featurestates/', body: { feature: 31, identity: null }, answer: 201 },
  },
  'admin.updateFeatureState': {
    writes: {
      request: 'PUT features/featurestates/9/',
      body: { enabled: true },
      answer: { status: 200, json: { feature: 31, identity: 7 } },
    },
    event: 'identity #7 overrides=31',
    leavesNone: {
      request: 'PUT features/featurestates/9/',
      body: { enabled: true },
      answer: { status: 200, json: { feature: 31, identity: null } },
    },
  },
  'admin.createEnvironmentFeatureState': {
    writes: { request: `POST ${ENV}/featurestates/`, body: { feature: 31, identifier: 'ann' }, answer: 201 },
    event: 'identity ann overrides=31',
    leavesNone: { request: `POST ${ENV}/featurestates/`, body: { feature: 31 }, answer: 201 },
  },
  'admin.updateEnvironmentFeatureState': {
    writes: {
      request: `PUT ${ENV}/featurestates/9/?anyIdentity=1`,
      body: { enabled: true },
      found: { feature: 31, identity: 7 },
      answer: 500,
    },
    event: 'identity #7 overrides=31',
    leavesNone: { request: `PUT ${ENV}/featurestates/9/`, body: { enabled: true } },
  },
  'admin.deleteEnvironmentFeatureState': {
    writes: {
      request: `DELETE ${ENV}/featurestates/9/?anyIdentity=1`,
      found: { feature: 31, identity: 7 },
      answer: 'unknown',
    },
    event: 'identity #7 overrides=31',
    leavesNone: { request: `DELETE ${ENV}/featurestates/9/`, answer: 204 },
  },
  'admin.createFeature': {
    writes: {
      request: 'POST projects/42/features/',
      body: { name: 'new', multivariate_options: [{ id: 7, string_value: 'theirs' }] },
      answer: 201,
    },
    event: 'option 7',
    leavesNone: {
      request: 'POST projects/42/features/',
      body: { name: 'new', multivariate_options: [{ string_value: 'own' }] },
      answer: 201,
    },
  },
  'admin.deleteFeature': {
    writes: { request: `DELETE ${FEATURE}/`, answer: 204 },
    event: 'feature 31 overrides=31',
    leavesNone: { request: `DELETE ${FEATURE}/segments/`, answer: 204 },
  },
  'admin.updateFeature': {
    writes: { request: `PATCH ${FEATURE}/`, body: { name: 'b' }, found: { id: 31, name: 'a' }, answer: 'unknown' },
    event: 'feature 31 overrides=31',
    leavesNone: { request: `PATCH ${FEATURE}/`, body: { description: 'b' }, answer: 'unknown' },
  },
  'admin.createOption': {
    writes: { request: `POST ${FEATURE}/mv-options/`, body: {}, answer: 201 },
    event: 'feature 31 overrides=31',
    leavesNone: { request: `GET ${FEATURE}/mv-options/` },
  },
  'admin.updateOption': {
    writes: { request: `PATCH ${FEATURE}/mv-options/3/`, body: {}, answer: 500 },
    event: 'option 3',
    leavesNone: { request: `GET ${FEATURE}/mv-options/3/` },
  },
  'admin.deleteOption': {
    writes: { request: `DELETE ${FEATURE}/mv-options/3/`, answer: 204 },
    event: 'features of projectId 42',
    leavesNone: { request: `DELETE ${FEATURE}/mv-options/3/`, answer: 404 },
  },
  'admin.changeVersion': {
    writes: { request: 'POST environments/5/features/31/versions/', body: {}, answer: 201 },
    event: 'feature 31 overrides=31',
    leavesNone: { request: 'GET environments/5/features/31/versions/' },
  },
  'admin.createSegmentOverride': {
    writes: {
      request: `POST ${ENV}/features/31/create-segment-override/`,
      body: { multivariate_feature_state_values: [{ id: 15017 }] },
      answer: 201,
    },
    event: 'feature 31 overrides=31',
    leavesNone: { request: `POST ${ENV}/features/31/create-segment-override/`, body: {}, answer: 201 },
  },
  'admin.deleteAccount': {
    writes: { request: 'DELETE auth/users/me/', answer: 204 },
    event: 'deleted projects',
    leavesNone: { request: 'PATCH auth/users/me/', body: {} },
  },
  'admin.resetTests': {
    writes: { request: 'POST e2etests/teardown/', answer: 204 },
    event: 'deleted projects',
    leavesNone: { request: 'GET e2etests/teardown/' },
  },
  'admin.deleteEnvironment': {
    writes: { request: `DELETE ${ENV}/`, answer: 'unknown' },
    event: 'environment envkey',
    leavesNone: { request: `DELETE ${ENV}/webhooks/3/`, answer: 204 },
  },
  'admin.renameEnvironment': {
    writes: { request: `PUT ${ENV}/`, body: { api_key: 'newkey' }, answer: 500 },
    event: 'environment newkey moved',
    leavesNone: { request: `PUT ${ENV}/`, body: { name: 'new' }, answer: 500 },
  },
  'admin.enableVersioning': {
    writes: { request: `POST ${ENV}/enable-v2-versioning/`, answer: 202 },
    event: 'environment envkey overrides=all',
    leavesNone: { request: `GET ${ENV}/enable-v2-versioning/` },
  },
  'admin.disableVersioning': {
    writes: { request: `POST ${ENV}/disable-v2-versioning/`, answer: 202 },
    event: 'environment envkey overrides=all',
    leavesNone: { request: `POST ${ENV}/disable-v2-versioning/`, answer: 400 },
  },
  'admin.changeCohort': {
    writes: { request: `PUT ${ENV}/cohorts/3/`, answer: 200 },
    event: 'environment envkey',
    leavesNone: { request: `GET ${ENV}/cohorts/3/` },
  },
  'admin.deleteProject': {
    writes: { request: 'DELETE projects/42/', answer: 204 },
    event: 'project 42',
    leavesNone: { request: 'PUT projects/42/', body: {} },
  },
  'admin.importLaunchDarkly': {
    writes: { request: 'POST projects/42/imports/launch-darkly/', answer: 201 },
    event: 'project 42 traits=key overrides=all',
    leavesNone: { request: 'GET projects/42/imports/launch-darkly/' },
  },
  'admin.importFeatures': {
    writes: { request: 'POST features/feature-import/5', answer: 201 },
    event: 'environment 5 overrides=all',
    leavesNone: { request: 'GET features/feature-import/5' },
  },
  'admin.deleteOrganisation': {
    writes: { request: 'DELETE organisations/3/', found: [{ id: 42 }], answer: 'unknown' },
    event: 'project 42',
    leavesNone: { request: 'PUT organisations/3/', found: [{ id: 42 }] },
  },
};

describe('every row of the route table', () => {
  it('has a sample here', () => {
    expect(Object.keys(SAMPLES).sort()).toEqual(ROUTES.map(({ name }) => name).sort());
  });

  it.each(Object.entries(SAMPLES))('%s leaves an event for what it writes', (name, { writes, event }) => {
    expect(events(writes)).toContain(event);
    expect(new Set(capture(writes).drafts.map(({ route }) => route))).toEqual(new Set([name]));
  });

  it.each(Object.entries(SAMPLES))('%s leaves no event for a similar request', (_, { leavesNone }) => {
    expect(events(leavesNone)).toEqual([]);
  });

  it.each(Object.entries(SAMPLES))(
    '%s leaves no event for a caller without permission, nor if the API never got the request',
    (_, sample) => {
      expect(events({ ...sample.writes, answer: 403 })).toEqual([]);
      expect(events({ ...sample.writes, answer: 'notSent' })).toEqual([]);
    },
  );
});
