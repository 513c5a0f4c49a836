import type { Clock } from '@edge-migration/runtime/clock.ts';
import { API_CALL, API_REQUEST_MS } from '@edge-migration/runtime/policies.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Registry } from 'prom-client';
import { GoneError, NotFoundError } from './errors.ts';
import { runtimeMetrics } from './metrics.ts';
import { apiVersion, type KubernetesObject, type ObjectReference, type Resource } from './objects.ts';
import { type Call, createTransport, type Headers, type Transport } from './transport.ts';
import { readWatch, type WatchEvent } from './watch-stream.ts';

export type { KubernetesObject, ObjectMeta, ObjectReference, Resource } from './objects.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Limit of each try; the client's own by default. */
  readonly timeoutMs?: number | undefined;
  /** Further tries at most; the client's own by default. */
  readonly retries?: number | undefined;
}

export interface Selector {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

interface ListQuery extends Selector {
  /** Absent: a consistent read. `'0'`: the content of the API server's cache, which can be old. */
  readonly resourceVersion?: string | undefined;
  /** Objects per page; all pages are read. */
  readonly pageSize?: number | undefined;
}

interface ObjectList {
  readonly items: KubernetesObject[];
  /** Where a watch continues. */
  readonly resourceVersion: string;
}

interface WatchQuery extends Selector {
  readonly resourceVersion: string;
  /** The time after which the API server ends the watch. */
  readonly timeoutSeconds: number;
}

interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  /** A watch without a frame for this long is dead; bookmarks come about once a minute. */
  readonly inactivityMs: number;
}

interface WriteOptions extends CallOptions {
  readonly fieldManager?: string | undefined;
  readonly subresource?: string | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Takes over fields from other managers instead of failing with a {@link ConflictError}. */
  readonly force?: boolean | undefined;
}

interface DeleteOptions extends CallOptions {
  /** Deletes only this object, not a later one of the same name. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly dryRun?: boolean | undefined;
}

/**
 * The API server's verbs on plain JSON. Every method throws an {@link ApiError} of errors.ts, or the signal's reason.
 *
 * After a 429 the client waits as long as the server asks; 5xx and broken connections are retried for repeatable calls
 * (`get`, `list`, `apply`, `delete` with a uid). `create`, `update` and `patch` are not sent again if the first may
 * have been executed.
 */
export interface KubernetesClient {
  /** Undefined if the object does not exist; throws {@link NotFoundError} if its kind is not served. */
  get(resource: Resource, reference: ObjectReference, options?: CallOptions): Promise<KubernetesObject | undefined>;
  /** All pages at one resourceVersion; items include apiVersion and kind, which the API omits. */
  list(resource: Resource, query?: ListQuery, options?: CallOptions): Promise<ObjectList>;
  /** With `subresource`: creates the subresource of the named object (`token` of a ServiceAccount). */
  create(resource: Resource, object: KubernetesObject, options?: WriteOptions): Promise<KubernetesObject>;
  /** Replaces the object; {@link ConflictError} unless its resourceVersion is the current one. */
  update(resource: Resource, object: KubernetesObject, options?: WriteOptions): Promise<KubernetesObject>;
  /**
   * Server-side apply: creates the object or changes it to the given state. Send all fields that this manager owns.
   *
   * With `metadata.uid` a later object of the same name is left alone ({@link ConflictError}), but not its status:
   * there the API server ignores the uid, and only `metadata.resourceVersion` protects the successor.
   */
  apply(resource: Resource, object: KubernetesObject, options: ApplyOptions): Promise<KubernetesObject>;
  /** JSON merge patch. */
  patch(
    resource: Resource,
    reference: ObjectReference,
    patch: Record<string, unknown>,
    options?: WriteOptions,
  ): Promise<KubernetesObject>;
  /** False if there was nothing to delete. */
  delete(resource: Resource, reference: ObjectReference, options?: DeleteOptions): Promise<boolean>;
  /**
   * One watch, until the server ends it, without retries. Throws when it cannot be opened or ends badly: an ERROR frame
   * becomes its ApiError ({@link GoneError}), silence and broken frames become an {@link UnreachableError}.
   */
  watch(resource: Resource, query: WatchQuery, options: WatchOptions): AsyncGenerator<WatchEvent, void>;
  /**
   * A client on the same connections that calls `guard` right before each write leaves the process, at every attempt.
   * An error of the guard is thrown to the caller and nothing is sent.
   */
  guarded(guard: () => void): KubernetesClient;
  /**
   * A client on the same connections that sends these headers with every call, overriding its own of the same names:
   * another user's credentials, or the user to impersonate.
   */
  withHeaders(headers: Headers): KubernetesClient;
  /** Ends all calls and connections, including those of guarded clients. */
  close(): Promise<void>;
}

export interface ClientSettings {
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly userAgent: string;
  /** Limit of each try of a call (watches have their own). */
  readonly timeoutMs?: number;
  /** Further tries of a call at most. */
  readonly retries?: number;
  readonly registry?: Registry;
  /** For the jitter of delays; 0 to 1. */
  readonly random?: () => number;
}

const PAGE_SIZE = 500;

/** A client for the kubeconfig's current context. Opens no connection before the first call. */
export function createClient(settings: ClientSettings): KubernetesClient {
  const { clock } = settings;
  const transport = createTransport({
    kubeConfig: settings.kubeConfig,
    clock,
    userAgent: settings.userAgent,
    timeoutMs: settings.timeoutMs ?? API_REQUEST_MS,
    retries: settings.retries ?? API_CALL.attempts - 1,
    metrics: runtimeMetrics(settings.registry),
    random: settings.random ?? Math.random,
  });
  return clientOn(transport, clock, {});
}

/** The shared parameters of a client's calls. */
interface Common {
  readonly guard?: () => void;
  readonly headers?: Headers;
}

function clientOn(base: Transport, clock: Clock, common: Common): KubernetesClient {
  const { guard, headers } = common;
  const transport: Transport = {
    ...base,
    send: (call, options) => base.send({ ...call, headers }, options),
    open: (call, options) => base.open({ ...call, headers }, options),
  };

  /** Writes are sent through this: the guard, and the writer's identity. */
  async function write(call: Call, options: WriteOptions = {}): Promise<KubernetesObject> {
    const { fieldManager, dryRun } = options;
    const query = { ...call.query, fieldManager, dryRun: dryRun ? 'All' : undefined };
    return (await transport.send({ ...call, query, guard }, options)) as KubernetesObject;
  }

  const client: KubernetesClient = {
    async get(resource, reference, options = {}) {
      try {
        const call: Call = { verb: 'get', method: 'GET', resource, target: reference, repeatable: true };
        return (await transport.send(call, options)) as KubernetesObject;
      } catch (error) {
        if (error instanceof NotFoundError && error.objectName === reference.name) return undefined;
        throw error;
      }
    },

    list: (resource, query = {}, options = {}) => listAll(transport, resource, query, options),

    create(resource, object, options) {
      const { namespace, name } = object.metadata;
      const subresource = options?.subresource;
      const target = subresource === undefined ? { namespace } : { namespace, name, subresource };
      return write({ verb: 'create', method: 'POST', resource, target, body: object }, options);
    },

    update(resource, object, options) {
      const target = { ...referenceOf(object), subresource: options?.subresource };
      return write({ verb: 'update', method: 'PUT', resource, target, body: object }, options);
    },

    apply(resource, object, options) {
      const target = { ...referenceOf(object), subresource: options.subresource };
      const body = { ...object, apiVersion: apiVersion(resource), kind: resource.kind };
      const contentType = 'application/apply-patch+yaml';
      const query = { force: options.force ? 'true' : undefined };
      return write(
        { verb: 'apply', method: 'PATCH', resource, target, body, contentType, query, repeatable: true },
        options,
      );
    },

    patch(resource, reference, patch, options) {
      const target = { ...reference, subresource: options?.subresource };
      const contentType = 'application/merge-patch+json';
      return write({ verb: 'patch', method: 'PATCH', resource, target, body: patch, contentType }, options);
    },

    async delete(resource, reference, options = {}) {
      const { uid, resourceVersion, propagationPolicy = 'Background' } = options;
      const body = {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy,
        preconditions: { uid, resourceVersion },
      };
      const repeatable = uid !== undefined;
      try {
        await write({ verb: 'delete', method: 'DELETE', resource, target: reference, body, repeatable }, options);
        return true;
      } catch (error) {
        if (error instanceof NotFoundError && error.objectName === reference.name) return false;
        throw error;
      }
    },

    async *watch(resource, { namespace, ...query }, { signal, inactivityMs }) {
      const call: Call = {
        verb: 'watch',
        method: 'GET',
        resource,
        target: { namespace },
        query: { ...query, watch: 'true', allowWatchBookmarks: 'true' },
      };
      const stream = await transport.open(call, { signal, inactivityMs });
      yield* readWatch(stream, `watch ${resource.plural}${namespace === undefined ? '' : ` ${namespace}`}`);
    },

    guarded: (inner) =>
      clientOn(base, clock, {
        ...common,
        guard: () => {
          guard?.();
          inner();
        },
      }),

    withHeaders: (others) => clientOn(base, clock, { ...common, headers: { ...headers, ...others } }),

    close: () => transport.close(),
  };
  return client;
}

async function listAll(
  transport: Transport,
  resource: Resource,
  { namespace, pageSize = PAGE_SIZE, resourceVersion, ...selector }: ListQuery,
  options: CallOptions,
): Promise<ObjectList> {
  const items: KubernetesObject[] = [];
  const target = { namespace };
  let query: Call['query'] = { ...selector, resourceVersion, limit: pageSize };
  for (;;) {
    const call: Call = { verb: 'list', method: 'GET', resource, target, query, repeatable: true };
    const page = await readPage(transport, call, options);
    if (page === undefined) {
      // The list expired while it was read (etcd compacts every 5 minutes): read it in one piece.
      items.length = 0;
      query = { ...selector, resourceVersion };
      continue;
    }
    for (const item of page.items ?? []) items.push({ ...item, apiVersion: apiVersion(resource), kind: resource.kind });
    const next = page.metadata.continue;
    if (!next) return { items, resourceVersion: page.metadata.resourceVersion };
    query = { ...selector, limit: pageSize, continue: next };
  }
}

/** Undefined if the continue token has expired. */
async function readPage(transport: Transport, call: Call, options: CallOptions): Promise<RawList | undefined> {
  try {
    return (await transport.send(call, options)) as RawList;
  } catch (error) {
    if (error instanceof GoneError && call.query?.['continue'] !== undefined) return undefined;
    throw error;
  }
}

interface RawList {
  metadata: { resourceVersion: string; continue?: string };
  items: KubernetesObject[] | null;
}

function referenceOf(object: KubernetesObject): ObjectReference {
  return { namespace: object.metadata.namespace, name: object.metadata.name };
}
