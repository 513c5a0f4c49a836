import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createDatabase, dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type DynamodbAccess, type TestTables } from '@edge-migration/test/edge/tables.ts';
import type { Stores } from '../converge.ts';
import { openCore } from '../core/core.ts';
import type { CoreEnvironment } from '../core/identity.ts';
import { openEdge } from '../edge/table/table.ts';
import { insertRows, ONE_PROJECT } from '../fixtures/core-rows.ts';

/** Real stores with one project of one environment, whose client key is `client-key`. */
export interface TestStores extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly tables: TestTables;
  readonly stores: Stores;
  readonly environment: CoreEnvironment;
}

/** @param given the caller's own server; by default that of the test run */
export async function createStores(given?: DynamodbAccess): Promise<TestStores> {
  await using starting = new AsyncDisposableStack();
  const { url: databaseUrl } = starting.use(await createDatabase());
  await insertRows(databaseUrl, { ...ONE_PROJECT, environments_environment: [{ id: 1, api_key: 'client-key' }] });
  const core = openCore({ databaseUrl }, { maxConnections: 2 });
  starting.defer(() => core.close());
  const environment = (await core.projects.get(1))?.environments[0] as CoreEnvironment;
  const access = given ?? (await dynamodb());
  const tables = starting.use(await createTables(access));
  const edge = openEdge(tables.settings, { credentials: access.credentials });
  starting.defer(() => edge.close());
  await edge.describe();
  const resources = starting.move();
  return {
    databaseUrl,
    tables,
    stores: { core, edge, clock: systemClock },
    environment,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
