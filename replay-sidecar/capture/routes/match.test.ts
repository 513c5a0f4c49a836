import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { matchRoute } from './match.ts';
import { ROUTES } from './table.ts';

function routeOf(request: string): string | undefined {
  const [method = '', target = ''] = request.split(' ');
  const match = matchRoute(method, target);
  return match?.kind === 'route' ? match.route.name : match?.shape;
}

describe('matchRoute', () => {
  it.each([
    ['POST /api/v1/identities/', 'sdk.identify'],
    ['post /api/v1/identities/?x=1#y', 'sdk.identify'],
    ['POST http://flags.example:8000/api/v1/identities/', 'sdk.identify'],
    ['POST /%61pi/v1/identit%69es/', 'sdk.identify'],
    ['POST /api%2Fv1/identities%2F', 'sdk.identify'],
    ['PUT /api/v1/traits/bulk/', 'sdk.bulkTraits'],
    ['GET /api/v1/flags/alice?a=%20', 'sdk.readFlagsByPath'],
    ['GET /api/v1/identities/.x/', 'sdk.readIdentityByPath'],
    ['GET /api/v1/identities/.json/?identifier=alice', 'sdk.readIdentityByPath'],
    ['POST /api/v1/environments/key/enable-v2-versioning.json', 'admin.enableVersioning'],
    ['POST /api/v1/environments/key/disable-v2-versioning.api/', 'admin.disableVersioning'],
    ['PUT /api/v1/traits/bulk.json', 'sdk.bulkTraits'],
    ['POST /api/v1/traits/increment-value.json', 'sdk.incrementTrait'],
    ['GET https://[::1]?/api/v1/flags/', undefined],
    ['POST HTTP://a/api/v1/identities/#?', 'sdk.identify'],
    ['GET /api/v1/identities#/?identifier=a', undefined],
  ])('recognises %s as %s', (request, name) => {
    expect(routeOf(request)).toBe(name);
  });

  it.each([
    'GET /',
    'GET /api/v1/flags/',
    'GET /api/v1/environment-document/',
    'POST /api/v1/analytics/flags/',
    'GET /api/v1/projects/42/features/',
    'OPTIONS /api/v1/identities/',
    'POST /api/v1//identities/',
    'POST /API/v1/identities/',
    'POST /api/v1/identities',
    'POST /x/v1/identities/',
    'OPTIONS /x/api/v1/identities/',
    'GET /?next=/api/v1/identities/alice/',
    'GET /api/v1/x?next=/api/v1/identities/%20',
    'OPTIONS *',
    'POST /api/v1/environments/key/edge-identities/x/edge-featurestates/',
    'PUT /api/v1/environments/environments/key/edge-identities-featurestates',
  ])('%s matches no route', (request) => {
    expect(routeOf(request)).toBeUndefined();
  });

  it.each([
    ['DELETE /api/v1/identities/', 'DELETE identities/'],
    ['POST /api/v1/identities/alice/segments/', 'POST identities/*/segments/'],
    ['POST /api/v1/traits/merge/', 'POST traits/merge/'],
    ['POST /api/v1/environments/key/identities/7/merge/', 'POST environments/*/identities/*/merge/'],
    ['PUT /api/v1/environments/key/identity-groups/7/', 'PUT environments/*/identity-groups/*/'],
    ['DELETE /api/v1/features/featurestates/9/', 'DELETE features/featurestates/*/'],
    ['POST /x/api/v1/identities/', 'POST */api/v1/identities/'],
    ['POST //api/v1/identities/', 'POST */api/v1/identities/'],
    ['POST /%78/api/v1%2ftraits/', 'POST */api/v1/traits/'],
    ['GET /x/api/v1/flags/alice', 'GET */api/v1/flags/*'],
    ['DELETE /x/y/api/v1/environments/key/', 'DELETE */api/v1/environments/*/'],
    ['PUT /x/api/v1/traits/merge/', 'PUT */api/v1/traits/merge/'],
    ['POST /api/v1/x/api/v1/identities/', 'POST */api/v1/identities/'],
    ['POST /api/v1/projects/7/api/v1/%69dentities/', 'POST */api/v1/identities/'],
    ['POST /x/api/v1/y/api/v1/traits/', 'POST */api/v1/traits/'],
  ])('%s is an unknown write near identities: %s', (request, shape) => {
    expect(matchRoute(...(request.split(' ') as [string, string]))).toMatchObject({ kind: 'unknown', shape });
  });

  it('shows the beginning of a path of slashes', () => {
    expect(routeOf(`POST /api/v1/traits${'/'.repeat(60_000)}`)).toBe(`POST traits${'/'.repeat(31)}`);
  });

  it('accepts any bytes as a target', () => {
    const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) });
    const prefix = fc.constantFrom(
      '',
      '/',
      '/api/v1/',
      '/api/v1/identities/',
      '/api/v1/flags/',
      '/api/v1/environments/',
    );
    fc.assert(
      fc.property(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'), prefix, latin1, (method, start, rest) => {
        const match = matchRoute(method, start + rest);
        if (match?.kind !== 'route') return;
        const { identifier } = match.parameters;
        if (identifier !== undefined) expect(identifier).toMatch(/^[-\p{L}\p{N}_@%.]+$/u);
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts a format suffix wherever a route ends in a slash', () => {
    for (const { methods, path, end } of ROUTES) {
      if (end !== 'format') continue;
      const target = `/api/v1/${path.replace(/<\w+>/g, '7')}`;
      const name = routeOf(`${methods[0]} ${target}`);
      expect([path, name]).not.toEqual([path, undefined]);
      const deep = path.indexOf('/') < path.length - 1;
      for (const suffix of deep ? ['.json', '/.json', '.api/'] : ['/.json']) {
        expect([path, routeOf(`${methods[0]} ${target.slice(0, -1)}${suffix}`)]).toEqual([path, name]);
      }
    }
  });
});
