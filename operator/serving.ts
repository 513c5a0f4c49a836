import type { Core } from '@edge-migration/identity/core/core.ts';
import type { ServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import type { OperatorConfiguration } from './config.ts';
import { createReadinessView, type ReadinessView } from './edge-migration/readiness/view.ts';
import { HandoverRunner } from './handover/runner.ts';

/** Whether Edge can serve is checked if a table is configured that only Flagsmith writes. */
export function createReadiness(
  { environmentsTable, environmentsApiKeyTable, edgeReadySeconds }: OperatorConfiguration,
  { core, serving }: { core: Core; serving: ServingTables },
  clock: Clock,
): ReadinessView | undefined {
  const isSought = environmentsTable !== undefined || environmentsApiKeyTable !== undefined;
  return isSought ? createReadinessView({ core, tables: serving, clock, againMs: edgeReadySeconds * 1000 }) : undefined;
}

/**
 * The hand-over depends on the check of what Edge lacks, and on the location of the Core API's pods.
 *
 * @throws ConfigurationError if it is switched on without them
 */
export function createHandover(configuration: OperatorConfiguration, client: KubernetesClient, clock: Clock) {
  const {
    handoverMode: mode,
    handoverWhen: when,
    coreApiNamespace: namespace,
    coreApiSelector: selector,
  } = configuration;
  if (mode === 'Off') return undefined;
  const { environmentsTable, environmentsApiKeyTable, environmentsV2Table } = configuration;
  if (environmentsTable === undefined || environmentsApiKeyTable === undefined) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_ENVIRONMENTS_TABLE and EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE must be set: the hand-over is on',
    );
  }
  if (namespace === undefined || selector === undefined) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_CORE_API_NAMESPACE and EDGE_MIGRATION_CORE_API_SELECTOR must be set: the hand-over is on',
    );
  }
  const tables = {
    environments: environmentsTable,
    serverKeys: environmentsApiKeyTable,
    environmentsV2: environmentsV2Table,
  };
  const timeoutSeconds = configuration.handoverTimeoutSeconds;
  return { mode, when, runner: new HandoverRunner({ client, namespace, selector, timeoutSeconds, tables, clock }) };
}
