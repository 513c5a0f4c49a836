import { Crashed } from './faults.ts';
import { type AccessOptions, createAccess } from './rest/access.ts';
import { type Call, html, json, type Route } from './rest/call.ts';
import { BadRequest, detail, HttpError, type Reply } from './rest/errors.ts';
import { adminEnvironmentRoutes } from './routes/admin-environments.ts';
import { adminFeatureStateRoutes } from './routes/admin-feature-states.ts';
import { adminFeatureRoutes } from './routes/admin-features.ts';
import { adminIdentityRoutes } from './routes/admin-identities.ts';
import { sdkIdentityRoutes } from './routes/sdk-identities.ts';
import { sdkTraitRoutes } from './routes/sdk-traits.ts';

export const PREFIX = '/api/v1/';
const HEALTH = /^\/health(\/liveness|\/readiness)?\/?$/;

/** A request before its path is known to lead anywhere; `path` is the whole decoded one. */
export type Incoming = Omit<Call, 'path' | 'parameters'> & { readonly pathname: string; readonly search: string };

/** Answers every request, also those that fail. @param onError is told of each error that becomes a 500 */
export function createRouter(options: AccessOptions & { onError: (error: unknown) => void }) {
  const access = createAccess(options);
  const identities = sdkIdentityRoutes(access);
  const traits = sdkTraitRoutes(access);
  // In the order in which Django tries them: the deprecated ones first, and one of those takes every longer path.
  const routes: Route[] = [
    ...traits.deprecated,
    ...identities.deprecated,
    ...adminEnvironmentRoutes(access),
    ...adminIdentityRoutes(access),
    ...adminFeatureStateRoutes(access),
    ...adminFeatureRoutes(access),
    ...identities.current,
    ...traits.current,
  ];

  const match = (pathname: string) => {
    if (!pathname.startsWith(PREFIX)) return undefined;
    const path = pathname.slice(PREFIX.length);
    for (const route of routes) {
      const parameters = route.pattern.exec(path);
      if (parameters !== null) return { route, path, parameters: { ...parameters.groups } };
    }
    return undefined;
  };

  async function route(incoming: Incoming): Promise<Reply> {
    const { pathname, search } = incoming;
    if (HEALTH.test(pathname)) return { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' };
    const found = match(pathname);
    if (found !== undefined) return dispatch(found.route, { ...incoming, ...found });
    if (pathname.endsWith('/') || match(`${pathname}/`) === undefined) return html(404, 'Not Found');
    return {
      status: 301,
      headers: { Location: `${encodeURI(pathname)}/${search}`, 'Content-Type': 'text/html; charset=utf-8' },
      body: '',
    };
  }

  return async (incoming: Incoming): Promise<Reply> => {
    try {
      return await route(incoming);
    } catch (error) {
      if (error instanceof HttpError) return json(error.detail, error.status, challenge(error.status));
      if (error instanceof BadRequest) return html(400, 'Bad Request (400)');
      if (error instanceof Crashed) throw error;
      options.onError(error);
      return html(500, 'Server Error (500)');
    }
  };
}

async function dispatch({ authenticate, methods }: Route, call: Call): Promise<Reply> {
  const allowed = [...Object.keys(methods), ...('GET' in methods ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  if (call.method === 'OPTIONS' && call.header('access-control-request-method') !== undefined) {
    return { status: 200, headers: { 'Access-Control-Allow-Origin': '*' }, body: '' };
  }
  await authenticate(call);
  if (call.method === 'OPTIONS') return json({ name: 'Fixture' }, 200, { Allow: allowed });
  const view = methods[call.method === 'HEAD' ? 'GET' : call.method];
  const reply = await (view?.(call) ?? json(detail(`Method "${call.method}" not allowed.`), 405));
  return { ...reply, headers: { Allow: allowed, Vary: 'Accept, Origin', ...reply.headers } };
}

function challenge(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Token' } : {};
}
