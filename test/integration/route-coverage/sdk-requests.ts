import fc from 'fast-check';
import { identifier, identifierJson, type Make, maker, type Pick, traitJson, traitKey, traitValue } from './request.ts';
import type { Rows } from './rows.ts';

/** An environment's key, and the identifier of an existing or new identity. */
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

/** Requests with an environment's key, weighted by usefulness. */
export const sdkRequests = [
  { weight: 6, arbitrary: maker(identify) },
  { weight: 3, arbitrary: maker(readByQuery) },
  { weight: 3, arbitrary: maker(byPath) },
  { weight: 3, arbitrary: maker(setTrait) },
  { weight: 2, arbitrary: maker(form) },
  { weight: 5, arbitrary: maker(bulk) },
  { weight: 2, arbitrary: maker(increment) },
];
