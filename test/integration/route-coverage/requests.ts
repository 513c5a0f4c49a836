import fc from 'fast-check';
import type { Rows } from './rows.ts';

export interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A request is chosen when the rows are known that it may aim at. */
export type RequestMaker = (rows: Rows) => Request;

const ADMIN = { authorization: 'Token admin-token' };

/** Faults of the API that leave a request without an answer, or die between two commits. */
const FAULT = fc.option(
  fc.constantFrom('reset-after', 'crash-after', 'crash-after-write=1', 'crash-after-write=2', 'crash-before'),
  { freq: 8, nil: undefined },
);

/** Mostly what Core takes, or hardly any request would change anything. */
function mostly<T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
}

const identifier = mostly(
  ['new-1', 'new-2', ' new-3 ', '\u00a0new-4', '\u200bnew-5', 'né 人', "it's", '7', '1.0', '1e+16'],
  ['', ' ', 'x'.repeat(2001), 'a\0b'],
);
/** An identifier as JSON has it; some exist, some are no identifier at all. */
const identifierJson = fc.oneof(
  identifier.map((text) => JSON.stringify(text)),
  mostly(['7', '1.0', '1e16', '123456789012345678901234567890'], ['null', 'true', '["a"]', '"\\ud800"']),
);
const traitKey = mostly(
  ['"plan"', '"age"', '" vip "', '"new"', '"score"', '7', '1.50'],
  ['""', 'null', `"${'k'.repeat(201)}"`],
);
const traitValue = mostly(
  ['"gold"', '1', '1.5', 'true', 'null', '[1, {"a": null}]', '""', '2', '"silver"', 'false'],
  ['2147483648', '1e999', '"a\\u0000"', JSON.stringify('x'.repeat(2001))],
);
const traitJson = fc
  .tuple(traitKey, traitValue, fc.option(fc.constantFrom('true', 'false', '"on"'), { freq: 3, nil: undefined }))
  .map(([key, value, transient]) => {
    return `{"trait_key": ${key}, "trait_value": ${value}${transient === undefined ? '' : `, "transient": ${transient}`}}`;
  });

/** Chooses among rows whose number is not known beforehand. */
type Pick = <T>(rows: readonly T[]) => T;
const picks = fc.array(fc.nat(), { minLength: 8, maxLength: 8 }).map((numbers): (() => Pick) => () => {
  let next = 0;
  return (rows) => rows[(numbers[next++ % numbers.length] ?? 0) % rows.length] as never;
});

type Make = (rows: Rows, pick: Pick) => Omit<Request, 'headers'> & { headers?: Record<string, string> };

function maker(make: fc.Arbitrary<Make>): fc.Arbitrary<RequestMaker> {
  return fc.tuple(make, picks, FAULT).map(([makeRequest, newPick, fault]) => (rows) => {
    const request = makeRequest(rows, newPick());
    const headers = { ...request.headers, ...(fault !== undefined && { 'x-fixture-fault': fault }) };
    return { ...request, headers: { 'content-type': 'application/json', ...headers } };
  });
}

/** An environment's key, and the identifier of an identity that is there already or not. */
function sdk(rows: Rows, pick: Pick, wanted: string): { key: Record<string, string>; name: string } {
  const environment = pick(rows.environments);
  const keys = [environment.api_key, environment.server_key];
  const key = pick([...keys, ...keys, ...keys, ...keys, 'unknown']);
  const existing = rows.identities.filter(({ environmentId }) => environmentId === environment.id);
  const name = existing.length > 0 && pick([true, true, false]) ? JSON.stringify(pick(existing).identifier) : wanted;
  return { key: { 'x-environment-key': key }, name };
}

const identify = fc
  .tuple(identifierJson, fc.array(traitJson, { maxLength: 4 }), fc.nat(9))
  .map(([wanted, traits, dice]): Make => {
    return (rows, pick) => {
      const { key, name } = sdk(rows, pick, wanted);
      const transient = dice === 0 ? ', "transient": true' : '';
      const body = `{"identifier": ${name}, "traits": [${traits.join(', ')}]${transient}}`;
      return { method: 'POST', target: '/api/v1/identities/', headers: key, body };
    };
  });

const readByQuery = fc
  .tuple(identifier, fc.nat(9), fc.constantFrom('GET', 'HEAD'))
  .map(([wanted, dice, method]): Make => {
    return (rows, pick) => {
      const { key, name } = sdk(rows, pick, JSON.stringify(wanted));
      const query = `identifier=${encodeURIComponent(JSON.parse(name) as string)}${dice === 0 ? '&transient=false' : ''}`;
      return { method, target: `/api/v1/identities/?${query}`, headers: key, body: undefined };
    };
  });

const pathName = fc.constantFrom('path-1', 'path%40x', 'caf%C3%A9', 'a%FFb', 'a%2525', 'a.b-c_d', 'a+b', 'a%20b');
const byPath = fc.tuple(pathName, fc.nat(5), traitValue, traitKey).map(([name, which, value]): Make => {
  return (rows, pick) => {
    const { key } = sdk(rows, pick, '""');
    const [method = '', target = ''] = [
      `GET identities/${name}/`,
      `GET identities/${name}/any/thing`,
      `HEAD flags/${name}`,
      `GET flags/${name}/`,
      `POST identities/${name}/traits/plan`,
      `POST identities/${name}/traits/plan/`,
    ][which]!.split(' ');
    const body = method === 'POST' ? `{"trait_value": ${value}}` : undefined;
    return { method, target: `/api/v1/${target}`, headers: key, body };
  };
});

const setTrait = fc
  .tuple(identifierJson, traitKey, traitValue, fc.boolean())
  .map(([wanted, key, value, json]): Make => {
    return (rows, pick) => {
      const { key: headers, name } = sdk(rows, pick, wanted);
      const body = `{"identity": {"identifier": ${name}}, "trait_key": ${key}, "trait_value": ${value}}`;
      return { method: 'POST', target: `/api/v1/traits/${json ? '.json' : ''}`, headers, body };
    };
  });

const form = fc.tuple(identifier, fc.boolean()).map(([wanted, whole]): Make => {
  return (rows, pick) => {
    const { key, name } = sdk(rows, pick, JSON.stringify(wanted));
    const text = encodeURIComponent(JSON.parse(name) as string);
    const headers = { ...key, 'content-type': 'application/x-www-form-urlencoded' };
    return whole
      ? {
          method: 'POST',
          target: '/api/v1/identities/',
          headers,
          body: `identifier=${text}&traits[0]trait_key=plan&traits[0]trait_value=x`,
        }
      : {
          method: 'POST',
          target: '/api/v1/traits/',
          headers,
          body: `identity.identifier=${text}&trait_key=age&trait_value=7`,
        };
  };
});

const bulkItem = fc.tuple(identifierJson, traitKey, traitValue, fc.nat(19));
const bulk = fc.array(bulkItem, { maxLength: 5 }).map((items): Make => {
  return (rows, pick) => {
    const { key } = sdk(rows, pick, '""');
    const known = rows.identities.map(({ identifier: name }) => JSON.stringify(name));
    const body = items.map(([wanted, traitKeyJson, value, dice]) => {
      const name = dice < 12 && known.length > 0 ? pick(known) : wanted;
      const identity = dice === 19 ? '' : `"identity": {"identifier": ${name}}, `;
      return `{${identity}"trait_key": ${traitKeyJson}${value === 'null' && dice % 2 ? '' : `, "trait_value": ${value}`}}`;
    });
    return { method: 'PUT', target: '/api/v1/traits/bulk/', headers: key, body: `[${body.join(', ')}]` };
  };
});

const increment = fc
  .tuple(identifierJson, traitKey, fc.constantFrom('1', '2147483647', '"2"', '1.5'))
  .map(([wanted, key, by]): Make => {
    return (rows, pick) => {
      const { key: headers, name } = sdk(rows, pick, wanted);
      const body = `{"identifier": ${name}, "trait_key": ${key}, "increment_by": ${by}}`;
      return { method: 'POST', target: '/api/v1/traits/increment-value/', headers, body };
    };
  });

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
      // An override that is turned into the environment's own state this way cannot be told from that state's updates.
      state.identity_id === null ? ', "identity": null' : '',
      `, "identity": ${identity.id}`,
      `, "identifier": ${JSON.stringify(identity.identifier)}`,
    ][dice];
    const whole = method === 'PATCH' ? '' : `, "feature": ${state.feature_id}, "environment": ${state.environment_id}`;
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
    const body = `{"type": "unicode", "string_value": "option", "default_percentage_allocation": 1}`;
    return { method, target, headers: ADMIN, body: method === 'DELETE' ? undefined : body };
  };
});

const rename = fc.constantFrom('renamed-1', 'renamed-2', 'renamed-3').map((key): Make => {
  return (rows, pick) => {
    const target = `/api/v1/environments/${pick(rows.environments).api_key}/`;
    return { method: 'PATCH', target, headers: ADMIN, body: `{"name": "x", "api_key": "${key}"}` };
  };
});

/** Any request that changes identities (or nearly does), as often as is useful. */
export const anyRequest: fc.Arbitrary<RequestMaker> = fc.oneof(
  { weight: 6, arbitrary: maker(identify) },
  { weight: 3, arbitrary: maker(readByQuery) },
  { weight: 3, arbitrary: maker(byPath) },
  { weight: 3, arbitrary: maker(setTrait) },
  { weight: 2, arbitrary: maker(form) },
  { weight: 5, arbitrary: maker(bulk) },
  { weight: 2, arbitrary: maker(increment) },
  { weight: 4, arbitrary: maker(adminIdentity) },
  { weight: 5, arbitrary: maker(adminTrait) },
  { weight: 1, arbitrary: maker(deleteTraitKey) },
  { weight: 7, arbitrary: maker(identityOverride) },
  { weight: 4, arbitrary: maker(environmentState) },
  { weight: 3, arbitrary: maker(simpleState) },
  { weight: 2, arbitrary: maker(option) },
  { weight: 1, arbitrary: maker(rename) },
);
