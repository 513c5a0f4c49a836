import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { form, type Input, parseBody } from './rest/body.ts';
import type { Reply } from './rest/errors.ts';
import type { Incoming } from './router.ts';

const VERSION = 'fixture';

/** The router's view of a request; the body is read when a view asks for it. */
export function readRequest(request: IncomingMessage): Omit<Incoming, 'session' | 'later'> {
  const target = (request.url ?? '').replace(/^https?:\/\/[^/?]*/i, '');
  const [rawPath = '', ...rest] = target.split('?');
  const search = rest.join('?');
  const contentType = request.headers['content-type'] ?? '';
  let data: Promise<Input> | undefined;
  return {
    method: request.method ?? 'GET',
    pathname: decodePath(rawPath),
    search: search === '' ? '' : `?${search}`,
    query: form(search, contentType),
    header: (name) => request.headers[name]?.toString(),
    data() {
      data ??= readBody(request).then((body) => parseBody(body, contentType));
      return data;
    },
  };
}

/** Without a length, Django REST framework treats the body as empty, so that nothing is left of a chunked one. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const body = await buffer(request);
  return request.headers['content-length'] === undefined ? Buffer.alloc(0) : body;
}

/** Writes the answer with the headers of Django and gunicorn. */
export function sendReply(response: ServerResponse, { status, headers, body }: Reply, keepAlive: boolean): void {
  response.writeHead(status, {
    Server: 'gunicorn',
    // Set here so that Node adds no Keep-Alive header, which gunicorn does not have.
    Connection: keepAlive ? 'keep-alive' : 'close',
    'Flagsmith-Version': VERSION,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    ...(status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) }),
  });
  response.end(status === 204 ? undefined : body);
}

/** Percent-decoded; invalid UTF-8 stays as it is, as in Django. */
function decodePath(path: string): string {
  return path.replace(/(%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}
