import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { apiVersion, type KubernetesObject, type ObjectReference, type Resource } from '../objects.ts';
import { createObjectStore, StatusError, type StoredEvent } from './object-store.ts';

export interface ReceivedRequest {
  readonly method: string;
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'apply' | 'delete';
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
  /** The client's port: identifies the connection. */
  readonly port: number | undefined;
}

/**
 * A fault: a response; `hang`: never a response; `reset`: the connection breaks before anything is done; `lost`: it is
 * done, then the connection breaks before the response; `after`: it is done, the response comes later.
 */
export type ServerFault =
  | {
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Record<string, string>;
      readonly text?: string;
    }
  | { readonly after: Promise<unknown> }
  | 'hang'
  | 'reset'
  | 'lost';

interface PlannedFault {
  readonly matches: (request: ReceivedRequest) => boolean;
  readonly fault: ServerFault;
  left: number;
}

interface Watcher {
  readonly request: ReceivedRequest;
  readonly response: ServerResponse;
}

/**
 * An API server in memory, over real HTTP, that fails on request. Only for faults seen by the client: the API server's
 * own behaviour (validation, field ownership, RBAC) is tested against the real one.
 */
export async function startFakeApiServer(resources: readonly Resource[]) {
  const store = createObjectStore(publish);
  const requests: ReceivedRequest[] = [];
  const watchers = new Set<Watcher>();
  const hanging = new Set<ServerResponse>();
  let served = [...resources];
  let faults: PlannedFault[] = [];
  let droppedEvents = 0;
  let silent = false;
  let token: string | undefined;

  function publish(event: StoredEvent) {
    if (droppedEvents > 0) {
      droppedEvents--;
      return;
    }
    for (const watcher of watchers) deliver(watcher, event);
  }

  function deliver({ request, response }: Watcher, event: StoredEvent) {
    if (!silent && event.resource === request.resource && selects(request, event.object)) {
      response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
    }
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      const status = error instanceof StatusError ? error : new StatusError(500, 'InternalError', String(error));
      sendStatus(response, status);
    });
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse) {
    const request = await readRequest(incoming, served);
    if (request === undefined) return void response.writeHead(404).end('404 page not found\n');
    requests.push(request);
    if (token !== undefined && incoming.headers.authorization !== `Bearer ${token}`) {
      throw new StatusError(401, 'Unauthorized', 'Unauthorized');
    }
    const planned = faults.find(({ left, matches }) => left > 0 && matches(request));
    if (planned !== undefined) planned.left--;
    const fault = planned?.fault;
    if (fault === 'hang') return void hanging.add(response);
    if (fault === 'reset') return void incoming.socket.destroy();
    if (typeof fault === 'object' && 'status' in fault) return sendFault(response, fault);
    if (request.verb === 'watch') return openWatch(request, response);
    const result = execute(request);
    if (fault === 'lost') return void incoming.socket.destroy();
    if (fault !== undefined) await fault.after;
    send(response, 200, result);
  }

  function execute({ verb, resource, namespace, name = '', subresource, query, body }: ReceivedRequest): unknown {
    const reference: ObjectReference = { namespace, name };
    const object = body as unknown as KubernetesObject;
    switch (verb) {
      case 'get':
        return store.require(resource, reference);
      case 'list':
        return list(resource, namespace, query);
      case 'create':
        return store.create(resource, object);
      case 'update':
        return store.replace(resource, object, subresource);
      case 'patch':
        return store.merge(resource, reference, body, subresource);
      case 'apply':
        return store.apply(resource, object, subresource);
      case 'delete':
        return store.remove(resource, reference, (body['preconditions'] as { uid?: string } | undefined)?.uid);
      case 'watch':
        throw new Error('served elsewhere');
    }
  }

  function list(resource: Resource, namespace: string | undefined, query: URLSearchParams) {
    const [asOf, from] = query.get('continue')?.split('.').map(Number) ?? [Number(store.version()), 0];
    if (asOf! < store.compactedVersion()) throw new StatusError(410, 'Expired', 'the continue token is too old');
    const all = store.all(resource).filter((object) => selects({ namespace, query }, object));
    const end = from! + Number(query.get('limit') ?? all.length);
    return {
      apiVersion: apiVersion(resource),
      kind: `${resource.kind}List`,
      metadata: { resourceVersion: String(asOf), ...(end < all.length && { continue: `${asOf}.${end}` }) },
      // Like the API server, without apiVersion and kind.
      items: all.slice(from, end).map(({ apiVersion: _, kind: __, ...item }) => item),
    };
  }

  function openWatch(request: ReceivedRequest, response: ServerResponse) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const from = Number(request.query.get('resourceVersion'));
    if (from < store.compactedVersion()) {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      return void response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    }
    const watcher = { request, response };
    watchers.add(watcher);
    response.on('close', () => watchers.delete(watcher));
    for (const event of store.since(request.resource, from)) deliver(watcher, event);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const handle = {
    url,
    /** The objects; watches receive changes made here. */
    store,
    /** Every request received, in order. */
    requests,
    kubeConfig(user: { token?: string } = {}): KubeConfig {
      const kubeConfig = new KubeConfig();
      kubeConfig.loadFromClusterAndUser({ name: 'fake', server: url, skipTLSVerify: true }, { name: 'user', ...user });
      return kubeConfig;
    },
    watching: () => watchers.size,
    /** The next `times` matching requests fail in this way. */
    fail(matches: (request: ReceivedRequest) => boolean, fault: ServerFault, times = 1) {
      faults.push({ matches, fault, left: times });
    },
    /** Ends all planned faults. */
    heal() {
      faults = [];
      silent = false;
    },
    /** The next `count` changes are not sent to watches: the watcher misses them. */
    dropEvents(count: number) {
      droppedEvents = count;
    },
    /** Watches stay open and receive nothing more, as when a firewall has dropped the connection. */
    silenceWatches() {
      silent = true;
    },
    endWatches() {
      for (const { response } of watchers) response.end();
    },
    /** Writes raw text into all watches. */
    writeToWatches(text: string) {
      for (const { response } of watchers) response.write(text);
    },
    bookmark() {
      const metadata = { resourceVersion: store.version() };
      for (const { request, response } of watchers) {
        const object = { apiVersion: apiVersion(request.resource), kind: request.resource.kind, metadata };
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
      }
    },
    /** Removes a kind (its CRD) or restores it. */
    serve(resource: Resource, on: boolean) {
      served = on ? [...served, resource] : served.filter((other) => other !== resource);
    },
    /** Only this bearer token is accepted from now on. */
    requireToken(value: string) {
      token = value;
    },
    async stop() {
      for (const response of hanging) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    [Symbol.asyncDispose]: () => handle.stop(),
  };
  return handle;
}

export type FakeApiServer = Awaited<ReturnType<typeof startFakeApiServer>>;

async function readRequest(
  incoming: IncomingMessage,
  served: readonly Resource[],
): Promise<ReceivedRequest | undefined> {
  const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://server');
  const segments = pathname.split('/').slice(1).map(decodeURIComponent);
  const [group, version] = segments[0] === 'api' ? ['', segments[1]] : [segments[1], segments[2]];
  const rest = segments.slice(segments[0] === 'api' ? 2 : 3);
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.splice(0, 2)[1] : undefined;
  const [plural, name, subresource] = rest;
  const resource = served.find((r) => r.group === group && r.version === version && r.plural === plural);
  const chunks = await incoming.toArray();
  if (resource === undefined) return undefined;
  const text = Buffer.concat(chunks).toString();
  const method = incoming.method ?? 'GET';
  const body = text === '' ? {} : JSON.parse(text);
  const port = incoming.socket.remotePort;
  const verb = verbOf(method, name, query, incoming.headers['content-type']);
  return { method, verb, resource, namespace, name, subresource, query, headers: incoming.headers, body, port };
}

function verbOf(
  method: string,
  name: string | undefined,
  query: URLSearchParams,
  contentType = '',
): ReceivedRequest['verb'] {
  if (method === 'POST') return 'create';
  if (method === 'PUT') return 'update';
  if (method === 'DELETE') return 'delete';
  if (method === 'PATCH') return contentType === 'application/apply-patch+yaml' ? 'apply' : 'patch';
  if (name !== undefined) return 'get';
  return query.get('watch') === 'true' ? 'watch' : 'list';
}

function selects(
  { namespace, query }: { namespace: string | undefined; query: URLSearchParams },
  object: KubernetesObject,
) {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  const selector = query.get('labelSelector') ?? '';
  const labels = object.metadata.labels ?? {};
  return selector === '' || selector.split(',').every((term) => labels[term.split('=')[0]!] === term.split('=')[1]);
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function sendStatus(response: ServerResponse, { status, reason, message, objectName }: StatusError) {
  send(response, status, { kind: 'Status', code: status, reason, message, details: { name: objectName } });
}

function sendFault(
  response: ServerResponse,
  { status, reason = '', headers, text }: Extract<ServerFault, { status: number }>,
) {
  if (text !== undefined) response.writeHead(status, headers).end(text);
  else send(response, status, { kind: 'Status', code: status, reason, message: 'injected' }, headers);
}
