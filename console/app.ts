import type { Clock } from '@edge-migration/runtime/clock.ts';
import { BodyRefusedError, readBody } from '@edge-migration/runtime/http/body.ts';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { z } from 'zod';
import type { Caller } from './caller.ts';
import { explainToAnyone } from './kubernetes-problem.ts';
import { isForeign } from './origin.ts';
import type { PageFile } from './page-files.ts';
import { describeProblem, ProblemError } from './problem.ts';
import { createRateLimit } from './rate-limit.ts';
import type { ApiRoute, Reply } from './route.ts';
import { refuse } from './token-reviews.ts';
import type { DistinctHeaders } from './trusted-proxy.ts';

export interface AppSettings {
  readonly routes: readonly ApiRoute[];
  /** The OpenAPI document. */
  readonly document: object;
  readonly page: ReadonlyMap<string, PageFile>;
  /** @throws ProblemError, or an error that {@link explainToAnyone} explains */
  readonly authenticate: (headers: DistinctHeaders, address: string) => Promise<Caller>;
  readonly origin: OriginRule;
  readonly clock: Clock;
  /** Called with every problem that is sent to a client. */
  readonly onProblem: (problem: ProblemError) => void;
}

interface OriginRule {
  /** The console's origin for browsers; if unset, the request's host is used. */
  readonly publicOrigin: string | undefined;
  /** A change must prove that it comes from the console's page: a proxy accepts a browser's cookies as a login. */
  readonly mustProve: boolean;
}

type Env = { Bindings: HttpBindings };
type RequestContext = Context<Env>;

/** Maximum size of a request body. */
const LARGEST_BODY_BYTES = 16 * 1024;
/** Per caller. */
const READS = { burst: 100, perSecond: 20 };
const CHANGES = { burst: 20, perSecond: 2 };

const SECURITY_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

/** The console's HTTP application: page, API, and its document. */
export function createApp(settings: AppSettings): Hono<Env> {
  const { routes, document, page, origin, onProblem } = settings;
  const app = new Hono<Env>({ strict: false });

  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value);
    if (!context.res.headers.has('cache-control')) context.res.headers.set('cache-control', 'no-store');
  });
  app.use('/api/*', async (context, next) => {
    const { method } = context.req;
    const isChange = method !== 'GET' && method !== 'HEAD';
    const { publicOrigin, mustProve } = origin;
    if (isForeign(context.req.raw.headers, { publicOrigin, mustProve: mustProve && isChange })) {
      throw new ProblemError('cross_origin', "requests of another site's pages are not served");
    }
    await next();
  });
  app.get('/api/v1/openapi.json', (context) => context.json(document));

  const serve = createServe(settings);
  for (const route of routes) app.on(route.method.toUpperCase(), pathOf(route), (context) => serve(route, context));
  for (const [path, methods] of Map.groupBy(routes, pathOf)) {
    const allow = methods.map(({ method }) => method.toUpperCase()).join(', ');
    app.all(path, () => {
      throw new ProblemError('method_not_allowed', `only ${allow} is served here`, { headers: { allow } });
    });
  }
  app.get('*', (context) => servePage(page, context));

  app.notFound((context) =>
    answerProblem(context, new ProblemError('not_found', 'no such resource: see /api/v1/openapi.json')),
  );
  app.onError((error, context) => {
    const problem = explainToAnyone(error);
    onProblem(problem);
    return answerProblem(context, problem);
  });
  return app;
}

/** Without Hono's normalization of trailing slashes; impossible ids are not part of any path. */
const pathOf = ({ path }: ApiRoute) => path.replace('{project_id}', ':project_id{[0-9]{1,10}}').replace(/\/$/, '');

function createServe({ authenticate, clock }: AppSettings) {
  const limits = { get: createRateLimit(clock, READS), post: createRateLimit(clock, CHANGES) };

  return async (route: ApiRoute, context: RequestContext): Promise<Response> => {
    const { incoming } = context.env;
    // It would start a stream that has no reader.
    if (incoming.method === 'HEAD') throw new ProblemError('method_not_allowed', 'HEAD is served for the page only');
    const headers = incoming.headersDistinct as DistinctHeaders;
    const address = incoming.socket.remoteAddress ?? '';
    const caller = await authenticate(headers, address);
    refuse(limits[route.method].take(caller.user));
    const projectId = Number(context.req.param('project_id') ?? 0);
    if (projectId > 2_147_483_647) throw new ProblemError('not_found', 'no project can have this id');
    const reply = await route.handle({
      caller,
      projectId,
      query: parse(route.query, collectQuery(context), 'the query'),
      body: route.body && parse(route.body, await readJson(context), 'the body'),
      signal: context.req.raw.signal,
      bindings: context.env,
      reauthenticate: () => authenticate(headers, address),
    });
    return respond(reply);
  };
}

function respond({ status, headers = {}, body }: Reply): Response {
  const isJson = typeof body === 'object' && !(body instanceof ReadableStream);
  const type = isJson ? { 'content-type': 'application/json' } : {};
  const content = isJson ? JSON.stringify(body) : body;
  return new Response(content as string | ReadableStream<Uint8Array<ArrayBuffer>>, {
    status,
    headers: { ...type, ...headers },
  });
}

/** A repeated parameter is a list. */
function collectQuery(context: RequestContext): Record<string, unknown> {
  const entries = Object.entries(context.req.queries());
  return Object.fromEntries(entries.map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

/** @throws ProblemError (invalid) that names what is wrong */
function parse(schema: z.ZodType, value: unknown, what: string): unknown {
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  const issues = error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.join('.')}${path.length > 0 ? ': ' : ''}${message}`);
  throw new ProblemError('invalid', `${what} is invalid: ${issues.join('; ')}`);
}

async function readJson({ env: { incoming } }: RequestContext): Promise<unknown> {
  const bytes = await readBody(incoming, LARGEST_BODY_BYTES).catch((error: unknown) => {
    if (!(error instanceof BodyRefusedError)) throw error;
    const code = ({ 413: 'too_large', 415: 'unsupported_media_type' } as const)[error.status] ?? 'invalid';
    throw new ProblemError(code, error.message, { cause: error });
  });
  if (bytes.length === 0) return {};
  const [type = ''] = (incoming.headers['content-type'] ?? '').split(';');
  // Forms of other sites cannot send it.
  if (type.trim().toLowerCase() !== 'application/json')
    throw new ProblemError('unsupported_media_type', 'Content-Type must be application/json');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ProblemError('invalid', 'the body is not JSON', { cause });
  }
}

function answerProblem(context: RequestContext, problem: ProblemError): Response {
  const headers = { 'content-type': 'application/problem+json', ...problem.headers };
  const challenge =
    problem.status === 401 && !('www-authenticate' in problem.headers) ? { 'www-authenticate': 'Bearer' } : {};
  context.header('cache-control', 'no-store');
  return new Response(JSON.stringify(describeProblem(problem)), {
    status: problem.status,
    headers: { ...headers, ...challenge },
  });
}

function servePage(page: ReadonlyMap<string, PageFile>, context: RequestContext): Response | Promise<Response> {
  const file = page.get(context.req.path);
  if (file === undefined) return context.notFound();
  const caching = file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache';
  const headers = { 'cache-control': caching, etag: file.etag };
  if (context.req.header('if-none-match') === file.etag) return new Response(null, { status: 304, headers });
  return new Response(file.bytes, { headers: { ...headers, 'content-type': file.type } });
}
