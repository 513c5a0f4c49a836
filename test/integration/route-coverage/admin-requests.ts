import fc from 'fast-check';
import { identifierJson, type Make, maker, traitKey } from './request.ts';

const ADMIN = { authorization: 'Token admin-token' };

const adminIdentity = fc
  .tuple(identifierJson, fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE'))
  .map(([name, method]): Make => {
    return (rows, pick) => {
      const { apiKey, id } = pick(rows.identities);
      const one = method === 'POST' ? '' : `${id}/`;
      const target = `/api/v1/environments/${apiKey}/identities/${one}`;
      return { method, target, headers: ADMIN, body: method === 'DELETE' ? undefined : `{"identifier": ${name}}` };
    };
  });

const adminTrait = fc
  .tuple(traitKey, fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE'), fc.nat(5))
  .map(([key, method, dice]): Make => {
    return (rows, pick) => {
      const trait = pick(rows.traits);
      const identity = rows.identities.find(({ id }) => id === trait.identity_id) ?? pick(rows.identities);
      const all = method === 'DELETE' && dice === 0 ? '?deleteAllMatchingTraits=true' : '';
      const one = method === 'POST' ? '' : `${trait.id}/${all}`;
      const target = `/api/v1/environments/${identity.apiKey}/identities/${identity.id}/traits/${one}`;
      const renamed = dice < 3 || method === 'POST' ? `"trait_key": ${key}, ` : '';
      return {
        method,
        target,
        headers: ADMIN,
        body: method === 'DELETE' ? undefined : `{${renamed}"value_type": "int", "integer_value": 5}`,
      };
    };
  });

const deleteTraitKey = fc.constantFrom('"plan"', '" new "', '7', 'null').map((key): Make => {
  return (rows, pick) => {
    const target = `/api/v1/environments/${pick(rows.environments).api_key}/delete-traits/`;
    return { method: 'POST', target, headers: ADMIN, body: `{"key": ${key}}` };
  };
});

const stateBody = fc.constantFrom(
  '"enabled": true',
  '"enabled": false, "feature_state_value": "new"',
  '"enabled": "x", "feature_state_value": 5',
  '"live_from": "2030-01-01T00:00:00Z"',
);

const identityOverride = fc
  .tuple(stateBody, fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'clone'), fc.nat(3))
  .map(([fields, method, dice]): Make => {
    return (rows, pick) => {
      const overrides = rows.states.filter(({ identity_id }) => identity_id !== null);
      const state = method === 'POST' || method === 'clone' || overrides.length === 0 ? undefined : pick(overrides);
      const identity = rows.identities.find(({ id }) => id === state?.identity_id) ?? pick(rows.identities);
      const path = `/api/v1/environments/${identity.apiKey}/identities/${identity.id}/featurestates/`;
      const source = pick(rows.identities.filter(({ projectId }) => projectId === identity.projectId));
      if (method === 'clone') {
        return {
          method: 'POST',
          target: `${path}clone-from-given-identity/`,
          headers: ADMIN,
          body: `{"source_identity_id": ${source.id}}`,
        };
      }
      const features = rows.features.filter(({ project_id }) => project_id === identity.projectId);
      const feature = state === undefined ? `, "feature": ${pick(features).id}` : '';
      const moved =
        dice === 0
          ? `, "identity": ${source.id}`
          : dice === 1
            ? `, "identifier": ${JSON.stringify(source.identifier)}`
            : '';
      const body = method === 'DELETE' ? undefined : `{${fields}${feature}${moved}}`;
      return { method, target: state === undefined ? path : `${path}${state.id}/`, headers: ADMIN, body };
    };
  });

const environmentState = fc
  .tuple(stateBody, fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE'), fc.boolean(), fc.nat(2))
  .map(([fields, method, any, dice]): Make => {
    return (rows, pick) => {
      const state = pick(rows.states);
      const environment = rows.environments.find(({ id }) => id === state.environment_id) ?? pick(rows.environments);
      const identity = pick(
        rows.identities
          .filter(({ environmentId }) => environmentId === environment.id)
          .concat(rows.identities.slice(0, 1)),
      );
      const path = `/api/v1/environments/${environment.api_key}/featurestates/`;
      const named = ['', `, "identity": ${identity.id}`, `, "identifier": ${JSON.stringify(identity.identifier)}`][
        dice
      ];
      const feature = method === 'POST' ? `, "feature": ${state.feature_id}` : '';
      const target = method === 'POST' ? path : `${path}${state.id}/${any ? '?anyIdentity=1' : ''}`;
      return {
        method,
        target,
        headers: ADMIN,
        body: method === 'DELETE' ? undefined : `{${fields}${feature}${named}}`,
      };
    };
  });

const simpleState = fc.tuple(fc.constantFrom('POST', 'PUT', 'PATCH'), fc.nat(3)).map(([method, dice]): Make => {
  return (rows, pick) => {
    const state = pick(rows.states);
    const identity = pick(
      rows.identities
        .filter(({ environmentId }) => environmentId === state.environment_id)
        .concat(rows.identities.slice(0, 1)),
    );
    const named = [
      '',
      // An override turned into the environment's own state this way is indistinguishable from that state's updates.
      state.identity_id === null ? ', "identity": null' : '',
      `, "identity": ${identity.id}`,
      `, "identifier": ${JSON.stringify(identity.identifier)}`,
    ][dice];
    const environment = `, "environment": ${state.environment_id}`;
    const whole = method === 'PATCH' ? environment : `, "feature": ${state.feature_id}${environment}`;
    const body = `{"enabled": true, "feature_state_value": {"type": "unicode", "string_value": "simple"}${whole}${named}}`;
    const target = `/api/v1/features/featurestates/${method === 'POST' ? '' : `${state.id}/`}`;
    return { method, target, headers: ADMIN, body };
  };
});

const option = fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE').map((method): Make => {
  return (rows, pick) => {
    const chosen = rows.options.length === 0 ? undefined : pick(rows.options);
    const feature = rows.features.find(({ id }) => id === chosen?.feature_id) ?? pick(rows.features);
    const one = method === 'POST' || chosen === undefined ? '' : `${chosen.id}/`;
    const target = `/api/v1/projects/${feature.project_id}/features/${feature.id}/mv-options/${one}`;
    const body = `{"feature": ${feature.id}, "type": "unicode", "string_value": "option", "default_percentage_allocation": 0}`;
    return { method, target, headers: ADMIN, body: method === 'DELETE' ? undefined : body };
  };
});

const rename = fc.constantFrom('renamed-1', 'renamed-2', 'renamed-3').map((key): Make => {
  return (rows, pick) => {
    const target = `/api/v1/environments/${pick(rows.environments).api_key}/`;
    return { method: 'PATCH', target, headers: ADMIN, body: `{"api_key": "${key}"}` };
  };
});

/** An administrator's requests, weighted by usefulness. */
export const adminRequests = [
  { weight: 4, arbitrary: maker(adminIdentity) },
  { weight: 5, arbitrary: maker(adminTrait) },
  { weight: 1, arbitrary: maker(deleteTraitKey) },
  { weight: 7, arbitrary: maker(identityOverride) },
  { weight: 4, arbitrary: maker(environmentState) },
  { weight: 3, arbitrary: maker(simpleState) },
  { weight: 2, arbitrary: maker(option) },
  { weight: 1, arbitrary: maker(rename) },
];
