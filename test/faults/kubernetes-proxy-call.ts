import type { IncomingMessage } from 'node:http';
import { systemClock } from '@edge-migration/runtime/clock.ts';

/** An object in transit, with the fields that tests check. */
export interface PassingObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** One request to the API server that passed through. */
export interface KubernetesCall {
  /** Time of arrival in milliseconds, comparable between several proxies. */
  readonly time: number;
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'apply' | 'delete';
  /** `jobs`, `edgemigrations/status`. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly body: PassingObject;
  readonly url: string;
}

const READS = new Set(['get', 'list', 'watch']);

export const isWrite = ({ verb }: KubernetesCall): boolean => !READS.has(verb);

/** Determines a request's subject from its URL and body, like the API server. */
export function parseCall(request: IncomingMessage, text: string): KubernetesCall {
  const time = systemClock.monotonic();
  const url = request.url ?? '/';
  const { pathname, searchParams } = new URL(url, 'https://server');
  const segments = pathname.split('/').slice(1).map(decodeURIComponent);
  const rest = segments.slice(segments[0] === 'api' ? 2 : 3);
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.splice(0, 2)[1] : undefined;
  const [plural = '', named, subresource] = rest;
  const body: PassingObject = text === '' ? {} : JSON.parse(text);
  const { method = 'GET' } = request;
  const contentType = request.headers['content-type'] ?? '';
  return {
    time,
    verb: nameVerb(method, {
      isNamed: named !== undefined,
      isWatch: searchParams.get('watch') === 'true',
      contentType,
    }),
    resource: subresource === undefined ? plural : `${plural}/${subresource}`,
    namespace,
    name: named ?? body.metadata?.name,
    body,
    url,
  };
}

function nameVerb(
  method: string,
  { isNamed, isWatch, contentType }: { isNamed: boolean; isWatch: boolean; contentType: string },
): KubernetesCall['verb'] {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'DELETE':
      return 'delete';
    case 'PATCH':
      return contentType.startsWith('application/apply-patch') ? 'apply' : 'patch';
    default:
      if (isWatch) return 'watch';
      return isNamed ? 'get' : 'list';
  }
}
