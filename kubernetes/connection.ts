import { createHash } from 'node:crypto';
import type { AgentOptions, RequestOptions } from 'node:https';
import type { ConnectOptions, DispatcherOptions } from '@kubernetes/client-node';
import { Agent, type buildConnector, type Dispatcher, ProxyAgent, Socks5ProxyAgent } from 'undici';
import { KubeConfig } from './client-node.ts';

/** Everything a request needs in addition to its own path and body. */
interface Access {
  /** The API server's URL without a trailing slash; may have a path (behind a proxy such as Rancher's). */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
}

export interface Connection {
  /**
   * The current credentials (files are read again, exec plugins run when their token has expired) and the shared
   * connection pool for them.
   *
   * @throws errors of the credentials' source: a missing file, a failing plugin
   */
  access(): Promise<Access>;
  /** Discards cached credentials: call it after a 401, then ask for access again. */
  refresh(): void;
  /** Ends all requests and closes all connections. */
  close(): Promise<void>;
}

/**
 * kube-apiserver closes connections that are idle for 90 s without notice; the client closes them first, so that no
 * request is sent on a connection that is being closed.
 */
const KEEP_ALIVE_MS = 60_000;

/**
 * Connections to one cluster, shared by all requests. client-node creates a new dispatcher for every request; this
 * keeps one per TLS identity, so that a rotated CA or client certificate takes effect and nothing else opens
 * connections.
 */
export function createConnection(kubeConfig: KubeConfig): Connection {
  let credentials = kubeConfig;
  let current: { key: string; dispatcher: Dispatcher } | undefined;
  const retiring = new Set<Dispatcher>();

  function dispatcherFor(options: DispatcherOptions): Dispatcher {
    const key = createHash('sha256').update(JSON.stringify(options)).digest('hex');
    if (current?.key === key) return current.dispatcher;
    if (current !== undefined) retire(current.dispatcher);
    current = { key, dispatcher: createDispatcher(options) };
    return current.dispatcher;
  }

  /** Running requests, including watches, finish on the old connections. */
  function retire(dispatcher: Dispatcher) {
    retiring.add(dispatcher);
    dispatcher.close().then(
      () => retiring.delete(dispatcher),
      () => retiring.delete(dispatcher),
    );
  }

  return {
    async access() {
      const cluster = credentials.getCurrentCluster();
      if (cluster === null) throw new Error('the kubeconfig has no current cluster');
      const options: RequestOptions = {};
      await credentials.applyToHTTPSOptions(options);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(options.headers ?? {}))
        headers[name.toLowerCase()] = String(value).trim();
      if (options.auth) headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      const dispatcher = dispatcherFor(credentials.createDispatcherOptions(cluster, options as AgentOptions));
      return { server: cluster.server.replace(/\/$/, ''), headers, dispatcher };
    },

    refresh() {
      // The authenticators cache tokens (60 s for files, until they expire or indefinitely for plugins); a copy has no
      // cache.
      const { clusters, users, contexts, currentContext } = kubeConfig;
      credentials = new KubeConfig();
      credentials.loadFromOptions({ clusters, users, contexts, currentContext });
    },

    async close() {
      const dispatchers = [...retiring, ...(current === undefined ? [] : [current.dispatcher])];
      current = undefined;
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function createDispatcher(options: DispatcherOptions): Dispatcher {
  // Our deadlines come from the injected clock; undici's own would cut quiet watches after five minutes.
  // HTTP/1.1: open streams of an HTTP/2 client that is destroyed emit errors that nobody can listen for.
  const common = { allowH2: false, keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 0, bodyTimeout: 0 };
  switch (options.type) {
    case 'proxy':
      return new ProxyAgent({
        ...common,
        uri: options.uri,
        requestTls: tls(options.requestTls),
        connect: tls(options.connect),
      });
    case 'socks':
      return new Socks5ProxyAgent(options.uri, { ...common, requestTls: tls(options.requestTls) });
    case 'agent':
      return new Agent({ ...common, connect: tls(options.connect) });
    case 'none':
      return new Agent(common);
  }
}

/** Node's and undici's types of the same options differ in whether `undefined` may be explicit. */
const tls = (options: ConnectOptions) => options as buildConnector.BuildOptions;
