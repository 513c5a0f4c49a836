import { EDGE_MIGRATIONS, projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import { confirmedWithin, synced } from '@edge-migration/kubernetes/cache-health.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { KubeConfig } from '@edge-migration/kubernetes/client-node.ts';
import { createReflector, type Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { readCertificate, renewCertificate } from '@edge-migration/runtime/http/certificate.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import { startHttpServer } from '@edge-migration/runtime/http/server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { getRequestListener } from '@hono/node-server';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createAccess } from './access.ts';
import { createApp } from './app.ts';
import { createAuthentication } from './authentication.ts';
import { type Caller, delegate } from './caller.ts';
import { createChanges } from './changes.ts';
import type { ConsoleConfiguration } from './config.ts';
import { createEventStreams } from './event-streams.ts';
import { describeApi } from './openapi.ts';
import { readPageFiles } from './page-files.ts';
import { createProblemLog } from './problem-log.ts';
import { BY_PROJECT, createProjects } from './projects.ts';
import { createRoutes } from './routes.ts';
import { createSeries, type Series } from './series.ts';
import { type ProjectMigration, parseProjectMigration, summarize } from './summary.ts';
import { VERSION } from './version.ts';

export interface ConsoleSettings {
  readonly configuration: ConsoleConfiguration;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called with the console's address, once it has read the EdgeMigrations. */
  readonly onListening?: (url: string) => void;
}

const USER_AGENT = 'edge-migration-console';
/** A user waits for the answer. */
const CALL_MS = 10_000;
/** A process whose watches are silent for this long is restarted by the kubelet. */
const STALE_MS = 15 * 60_000;
const MOST_CONNECTIONS = 1_024;
const REQUEST_MS = 10_000;

/**
 * Serves page and API until the signal aborts.
 *
 * @throws ConfigurationError, and errors that prevent a server from listening
 */
export async function runConsole(settings: ConsoleSettings): Promise<void> {
  const { configuration, clock, logger, signal } = settings;
  requireConsistency(configuration);
  const certificate = await readCertificate(configuration);
  await using started = new AsyncDisposableStack();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // When the process is stopped, running requests may finish; streams and the watch end at once.
  const ending = new AbortController();
  started.defer(() => ending.abort(new Error('the process ends')));
  const clients = createClients(settings, registry, started);
  const cache = createCache(clients.own, settings, registry);
  const series = createSeries(clock);
  cache.subscribe((change) => noteChange(series, change));
  // If a later step fails, no signal stops the process.
  const watch = new AbortController();
  const watching = cache.run(AbortSignal.any([signal, watch.signal]));
  started.defer(() => {
    watch.abort(new Error('the process ends'));
    return watching;
  });
  const { app, streams } = await createConsole(settings, { clients, cache, series, registry, ending: ending.signal });
  new Gauge({
    name: 'edge_migration_console_event_streams',
    help: 'Streams of server-sent events that are open.',
    registers: [registry],
    collect() {
      this.set(streams.size);
    },
  });
  const server = await startHttpServer({
    host: configuration.listenHost,
    port: configuration.listenPort,
    certificate,
    mostConnections: MOST_CONNECTIONS,
    requestMs: REQUEST_MS,
    onRequest: getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  });
  started.defer(() => server.close());
  const metrics = await startMetricsServer({
    registry,
    host: configuration.metricsHost,
    port: configuration.metricsPort,
    ready: { caches: synced([cache as Reflector<unknown>]) },
    alive: { watches: confirmedWithin(STALE_MS, [cache as Reflector<unknown>]) },
  });
  started.defer(() => metrics.close());
  await Promise.race([cache.synced, aborted(signal)]);
  if (!signal.aborted) {
    logger.info(
      { url: server.url, authentication: configuration.authentication, writes: configuration.writes },
      'listening',
    );
    settings.onListening?.(server.url);
  }
  await renewCertificate(server, certificate, { files: configuration, clock, logger, signal });
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** @throws ConfigurationError if settings contradict each other */
function requireConsistency({
  authentication,
  writes,
  tokenAudiences,
  proxySecretFile,
  publicOrigin,
  groups,
}: ConsoleConfiguration) {
  const refuse = (message: string) => {
    throw new ConfigurationError(message);
  };
  if (authentication === 'Proxy') {
    if (proxySecretFile === undefined)
      refuse('EDGE_MIGRATION_PROXY_SECRET_FILE must be set: an address proves nothing');
    if (publicOrigin === undefined)
      refuse('EDGE_MIGRATION_PUBLIC_ORIGIN must be set: behind a proxy it identifies requests of other sites');
    if (writes === 'Token')
      refuse('EDGE_MIGRATION_WRITES must be Impersonation or Off: behind a proxy there are no tokens');
  } else if (writes === 'Token' && tokenAudiences !== undefined) {
    refuse('EDGE_MIGRATION_WRITES must be Impersonation or Off: the API server accepts no tokens of other audiences');
  }
  if (writes === 'Impersonation' && groups === undefined)
    refuse('EDGE_MIGRATION_GROUPS must be set: groups that may not be impersonated would prevent all changes');
}

interface Clients {
  /** With the console's own rights. */
  readonly own: KubernetesClient;
  /** On behalf of the caller; undefined if the console acts on behalf of no one. */
  readonly for: (caller: Caller) => KubernetesClient | undefined;
}

function createClients(
  { configuration, kubeConfig, clock }: ConsoleSettings,
  registry: Registry,
  started: AsyncDisposableStack,
): Clients {
  const common = { clock, userAgent: USER_AGENT, timeoutMs: CALL_MS, retries: 1 };
  const own = createClient({ ...common, kubeConfig, registry });
  started.defer(() => own.close());
  const bare = createClient({ ...common, kubeConfig: withoutCredentials(kubeConfig) });
  started.defer(() => bare.close());
  return {
    own,
    for(caller) {
      const delegation = delegate(caller, configuration.writes);
      if (delegation === undefined) return undefined;
      return (delegation.kind === 'token' ? bare : own).withHeaders(delegation.headers);
    },
  };
}

/** The same cluster without credentials: a client certificate would take precedence over a caller's token. */
function withoutCredentials(kubeConfig: KubeConfig): KubeConfig {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new ConfigurationError('the kubeconfig has no current cluster');
  const bare = new KubeConfig();
  bare.loadFromOptions({
    clusters: [cluster],
    users: [{ name: 'caller' }],
    contexts: [{ name: 'caller', cluster: cluster.name, user: 'caller' }],
    currentContext: 'caller',
  });
  return bare;
}

function createCache(
  client: KubernetesClient,
  { configuration, clock, logger }: ConsoleSettings,
  registry: Registry,
): Reflector<ProjectMigration> {
  return createReflector({
    client,
    resource: EDGE_MIGRATIONS,
    parse: parseProjectMigration,
    namespaces: configuration.watchNamespaces,
    indexes: { [BY_PROJECT]: ({ migration }) => [String(projectOf(migration))] },
    clock,
    logger,
    registry,
  });
}

function noteChange(series: Series, change: Parameters<Parameters<Reflector<ProjectMigration>['subscribe']>[0]>[0]) {
  if (change.type === 'deleted') series.forget(change.key);
  else if (change.type !== 'unreadable') series.note(change.key, summarize(change.object));
}

interface Parts {
  readonly clients: Clients;
  readonly cache: Reflector<ProjectMigration>;
  readonly series: Series;
  readonly registry: Registry;
  /** Aborted when the process ends. */
  readonly ending: AbortSignal;
}

async function createConsole(
  { configuration, clock, logger, signal }: ConsoleSettings,
  { clients, cache, series, registry, ending }: Parts,
) {
  const { authentication, writes, namespace: defaultNamespace, watchNamespaces, publicOrigin } = configuration;
  const access = createAccess(clients.own, clock, ending);
  const projects = createProjects(cache, access);
  const streams = createEventStreams({ cache, clock, logger, signal });
  const routes = createRoutes({
    projects,
    access,
    changes: createChanges({
      projects,
      access,
      clientFor: clients.for,
      defaultNamespace,
      watchNamespaces,
      clock,
      logger,
    }),
    clientFor: clients.for,
    series,
    streams,
    clock,
    session: {
      authentication,
      readOnly: writes === 'Off',
      defaultNamespace,
      operatorNamespace: configuration.operatorNamespace ?? defaultNamespace,
      version: VERSION,
    },
    since: clock.now(),
  });
  const page = await readPageFiles(configuration.pageDirectory);
  if (!page.has('/'))
    logger.warn({ pageDirectory: configuration.pageDirectory }, 'there is no page: only the API is served');
  const app = createApp({
    routes,
    document: describeApi(routes, VERSION),
    page,
    authenticate: createAuthentication({ configuration, client: clients.own, clock, signal: ending }),
    origin: { publicOrigin, mustProve: authentication === 'Proxy' },
    clock,
    onProblem: createProblemLog(registry, clock, logger),
  });
  return { app, streams };
}
