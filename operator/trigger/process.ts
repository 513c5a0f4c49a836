import { openCore } from '@edge-migration/identity/core/core.ts';
import { createClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { readCertificate, renewCertificate } from '@edge-migration/runtime/http/certificate.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { TriggerConfiguration } from './config.ts';
import { createEnvelope, createPutEvents, explain } from './handlers.ts';
import { createMigrationStarter } from './migrations.ts';
import { createRefusalCounter, createRefusalLog } from './refusals.ts';
import { createReplays } from './replays.ts';
import { createEventCounter, createRequester } from './requester.ts';
import { createSecrets } from './secrets.ts';
import { type JsonResponse, type RequestHandler, startEventServer } from './server.ts';

export interface TriggerSettings {
  readonly configuration: TriggerConfiguration;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called with the address of the events' server. */
  readonly onListening?: (url: string) => void;
}

/**
 * Serves events until the signal aborts.
 *
 * @throws ConfigurationError, and errors that prevent a server from listening
 */
export async function runTrigger(settings: TriggerSettings): Promise<void> {
  const { configuration, clock, logger, onListening } = settings;
  const certificate = await readCertificate(configuration);
  await using started = new AsyncDisposableStack();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // When the process is stopped, running requests may finish.
  const ending = new AbortController();
  started.defer(() => ending.abort(new Error('the process ends')));
  const refuse = createRefusalLog(createRefusalCounter(registry), clock, logger);
  const server = await startEventServer({
    host: configuration.listenHost,
    port: configuration.listenPort,
    certificate,
    handlers: createHandlers(settings, { registry, started, ending: ending.signal }),
    explain(error) {
      refuse(error);
      return explain(error);
    },
  });
  started.defer(() => server.close());
  const { metricsHost: host, metricsPort: port } = configuration;
  const metrics = await startMetricsServer({ registry, host, port });
  started.defer(() => metrics.close());
  logger.info({ url: server.url, eventBus: configuration.eventBus, namespace: configuration.namespace }, 'listening');
  onListening?.(server.url);
  await renewCertificate(server, certificate, { files: configuration, clock, logger, signal: settings.signal });
}

function createHandlers(
  { configuration, kubeConfig, clock, logger }: TriggerSettings,
  { registry, started, ending }: { registry: Registry; started: AsyncDisposableStack; ending: AbortSignal },
): Record<string, RequestHandler> {
  const { namespace, migrationTemplate: template, eventBus, apiKeyHeader } = configuration;
  const { signingKeysDirectory, apiDestinationDirectory } = configuration;
  if (signingKeysDirectory === undefined && apiDestinationDirectory === undefined) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_SIGNING_KEYS_DIRECTORY or EDGE_MIGRATION_API_DESTINATION_DIRECTORY must be set: no event could be taken',
    );
  }
  const core = openCore(configuration, { maxConnections: 2, applicationName: 'edge-migration-trigger', clock });
  started.defer(() => core.close());
  const client = createClient({ kubeConfig, clock, userAgent: 'edge-migration-trigger', registry });
  started.defer(() => client.close());
  const migrations = createMigrationStarter({ core, client, namespace, template, clock });
  const request = createRequester({ migrations, clock, logger, events: createEventCounter(registry), signal: ending });
  const secrets = createSecrets(configuration);
  const replays = createReplays<JsonResponse>(clock);
  return {
    ...(signingKeysDirectory === undefined
      ? {}
      : { '/': createPutEvents({ eventBus, secrets, request, replays, clock }) }),
    ...(apiDestinationDirectory === undefined ? {} : { '/events': createEnvelope({ secrets, apiKeyHeader, request }) }),
  };
}
