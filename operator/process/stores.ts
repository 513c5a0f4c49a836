import { openCore } from '@edge-migration/identity/core/core.ts';
import { createProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { connectToEdge } from '@edge-migration/identity/edge/table/connection.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { OperatorConfiguration } from '../config.ts';

/** How long one call is retried when Edge is checked. */
const LOOK_MS = 3_000;

export type OperatorStores = ReturnType<typeof openOperatorStores>;

/** Core and Edge as the operator reads them; the caller closes Core itself. */
export function openOperatorStores(configuration: OperatorConfiguration, clock: Clock) {
  const core = openCore(configuration, { maxConnections: 4, applicationName: 'edge-migration-operator', clock });
  const edge = openEdge(configuration, { clock });
  const connection = connectToEdge(configuration, { clock });
  // A check of Edge must not delay other decisions.
  const hasty = connectToEdge(configuration, { clock, retryBudgetMs: LOOK_MS });
  const hastyEdge = openEdge(configuration, { clock, retryBudgetMs: LOOK_MS });
  const { projectMetadataTable } = configuration;
  return {
    core,
    edge,
    hastyEdge,
    serving: createServingTables(hasty, configuration),
    projectMetadata:
      projectMetadataTable === undefined ? undefined : createProjectMetadata(connection, projectMetadataTable),
    close() {
      edge.close();
      connection.close();
      hasty.close();
      hastyEdge.close();
    },
  };
}
