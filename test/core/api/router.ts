import { CrashedError } from './faults.ts';
import { type AccessOptions, createAccess } from './rest/access.ts';
import { type Call, html, json, type Route } from './rest/call.ts';
import { BadRequestError, detail, HttpError, notFound, type Reply } from './rest/errors.ts';
import { adminEnvironmentRoutes } from './routes/admin-environments.ts';
import { adminFeatureStateRoutes } from './routes/admin-feature-states.ts';
import { adminFeatureRoutes } from './routes/admin-features.ts';
import { adminIdentityRoutes } from './routes/admin-identities.ts';
import { adminImportRoutes } from './routes/admin-imports.ts';
import { adminOptionRoutes } from './routes/admin-options.ts';
import { adminProjectRoutes } from './routes/admin-projects.ts';
import { adminTraitRoutes } from './routes/admin-traits.ts';
import { sdkIdentityRoutes } from './routes/sdk-identities.ts';
import { sdkTraitRoutes } from './routes/sdk-traits.ts';
import { simpleFeatureStateRoutes } from './routes/simple-feature-states.ts';

const PREFIX = '/api/v1/';
const HEALTH = /^\/health\/(liveness|readiness)\/?$/;

/** A request before its path is resolved; `path` is the whole decoded one. */
export type Incoming = Omit<Call, 'path' | 'parameters' | 'user'> & {
  readonly pathname: string;
  readonly search: string;
};

/** Answers every request, including failing ones. @param onError called with each error that becomes a 500 */
export function createRouter(options: AccessOptions & { onError: (error: unknown) => void }) {
  const access = createAccess(options);
  const identities = sdkIdentityRoutes(access);
  const traits = sdkTraitRoutes(access);
  // In Django's order: the deprecated routes first, one of which matches every longer path.
  const routes: Route[] = [
    ...traits.deprecated,
    ...identities.deprecated,
    ...adminEnvironmentRoutes(access),
    ...adminIdentityRoutes(access),
    ...adminTraitRoutes(access),
    ...adminFeatureStateRoutes(access),
    ...simpleFeatureStateRoutes(access),
    ...adminFeatureRoutes(access),
    ...adminOptionRoutes(access),
    ...adminProjectRoutes(access),
    ...adminImportRoutes(access),
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
    if (HEALTH.test(pathname))
      return { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{"status": "ok"}' };
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
      if (error instanceof BadRequestError) return html(400, 'Bad Request (400)');
      if (error instanceof CrashedError) throw error;
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
  const reply = await answerOf(async () => {
    negotiate(call);
    const user = await authenticate(call);
    if (call.method === 'OPTIONS') return json({ name: 'Fixture' });
    const view = methods[call.method === 'HEAD' ? 'GET' : call.method];
    if (view === undefined) throw new HttpError(405, detail(`Method "${call.method}" not allowed.`));
    return view({ ...call, ...(user !== undefined && { user }) });
  });
  return { ...reply, headers: { Allow: allowed, Vary: 'Accept, Origin', ...reply.headers } };
}

/** The result of a view, however it ends. */
async function answerOf(view: () => Promise<Reply>): Promise<Reply> {
  try {
    return await view();
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const headers: Reply['headers'] = error.status === 401 ? { 'WWW-Authenticate': 'Token' } : {};
    return json(error.detail, error.status, headers);
  }
}

/** The only format is JSON, by name or among the accepted types. @throws HttpError 404, 406 */
function negotiate({ query, header }: Call): void {
  const format = query.getAll('format').at(-1);
  if (format && format !== 'json') throw notFound();
  const accepted = (header('accept') ?? '*/*').split(',').map((type) => type.split(';')[0]!.trim());
  if (accepted.some((type) => ['*/*', 'application/*', 'application/json'].includes(type))) return;
  throw new HttpError(406, detail('Could not satisfy the request Accept header.'));
}
