import type { Clock } from '@edge-migration/identity/clock.ts';
import { openCore } from '@edge-migration/identity/core/database.ts';
import { CORE_TABLES, readRelease } from '@edge-migration/identity/core/release.ts';
import { createProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { openEdge } from '@edge-migration/identity/edge/table.ts';
import { connect } from '@edge-migration/identity/edge/table-connection.ts';
import { connectNats, showServers } from '@edge-migration/replay-sidecar/nats.ts';
import { isStreamMissing, STREAM } from '@edge-migration/replay-sidecar/stream.ts';
import { jetstreamManager } from '@nats-io/jetstream';
import { EDGE_MIGRATIONS } from '../edge-migration/api.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { errorMessage } from '../kubernetes/errors.ts';
import type { CheckConfiguration } from './config.ts';

/** One thing that an installation needs. */
export interface Check {
  readonly name: string;
  /** Resolves to what was found; throws an error whose message says what is wrong. */
  run(signal: AbortSignal): Promise<string>;
}

/** What was missing is said by the check itself. */
class CheckError extends Error {
  override readonly name = 'CheckError';
}

export interface CheckSettings {
  configuration: CheckConfiguration;
  client: Pick<KubernetesClient, 'list'>;
  clock: Clock;
}

/** All that the configuration asks for; nothing is changed anywhere. */
export function createChecks({ configuration, client, clock }: CheckSettings): Check[] {
  const { natsServers } = configuration;
  return [
    { name: 'Kubernetes', run: (signal) => checkDefinition(configuration, client, signal) },
    { name: 'Postgres', run: (signal) => checkCore(configuration, signal) },
    { name: 'DynamoDB', run: (signal) => checkEdge(configuration, clock, signal) },
    ...(natsServers === undefined && configuration.capture === 'Disabled'
      ? []
      : [{ name: 'NATS', run: (signal: AbortSignal) => checkNats(configuration, clock, signal) }]),
  ];
}

export interface Outcome {
  name: string;
  passed: boolean;
  /** What was found, or what is wrong. */
  text: string;
}

/** Runs all at the same time, so that one that cannot be reached does not hide the others. */
export async function runChecks(checks: readonly Check[], timeoutMilliseconds: number): Promise<Outcome[]> {
  return Promise.all(
    checks.map(async ({ name, run }) => {
      const signal = AbortSignal.timeout(timeoutMilliseconds);
      try {
        return { name, passed: true, text: await run(signal) };
      } catch (error) {
        const late = signal.aborted && error === signal.reason;
        const text = late ? `no answer within ${timeoutMilliseconds / 1000} s` : errorMessage(error);
        return { name, passed: false, text };
      }
    }),
  );
}

async function checkDefinition(
  { watchNamespaces }: CheckConfiguration,
  client: CheckSettings['client'],
  signal: AbortSignal,
): Promise<string> {
  const places = watchNamespaces ?? [undefined];
  const lists = await Promise.all(
    places.map((namespace) => client.list(EDGE_MIGRATIONS, namespace === undefined ? {} : { namespace }, { signal })),
  );
  const count = lists.reduce((sum, { items }) => sum + items.length, 0);
  return `${count} EdgeMigrations in ${watchNamespaces?.join(', ') ?? 'all namespaces'}`;
}

async function checkCore({ databaseUrl, ...rest }: CheckConfiguration, signal: AbortSignal): Promise<string> {
  if (databaseUrl === undefined) {
    throw new CheckError('EDGE_MIGRATION_DATABASE_URL is not set: its Secret, or the key in it, does not exist');
  }
  const core = openCore({ ...rest, databaseUrl }, { maxConnections: 1, applicationName: 'edge-migration-check' });
  try {
    await readRelease(core, signal);
    // Rights are per table, and so is row-level security.
    for (const table of CORE_TABLES) await core.read((query) => query(`SELECT 1 FROM ${table} LIMIT 1`), signal);
    return `${core.name} is the primary of a Flagsmith database and can be read`;
  } finally {
    await core.close();
  }
}

async function checkEdge(configuration: CheckConfiguration, clock: Clock, signal: AbortSignal): Promise<string> {
  const options = { clock, patienceMilliseconds: 5000 };
  const edge = openEdge(configuration, options);
  const connection = connect(configuration, options);
  const { identitiesTable, environmentsV2Table, projectMetadataTable, environmentsTable, environmentsApiKeyTable } =
    configuration;
  try {
    await edge.describe({ signal });
    if (projectMetadataTable !== undefined) {
      await createProjectMetadata(connection, projectMetadataTable).describe({ signal });
    }
    await createServingTables(connection, configuration).describe({ signal });
    const tables = [
      identitiesTable,
      environmentsV2Table,
      projectMetadataTable,
      environmentsTable,
      environmentsApiKeyTable,
    ].filter((name) => name !== undefined);
    return `${tables.join(', ')} can be described`;
  } finally {
    edge.close();
    connection.close();
  }
}

async function checkNats(
  { natsServers, ...rest }: CheckConfiguration,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  if (natsServers === undefined) {
    throw new CheckError('EDGE_MIGRATION_NATS_SERVERS is not set, and EDGE_MIGRATION_CAPTURE is Required');
  }
  const settings = { ...rest, natsServers };
  let problem: string | undefined;
  const onFailure = (error: unknown) => {
    problem = errorMessage(error);
  };
  const connecting = connectNats(settings, {
    name: 'edge-migration-check',
    role: 'operator',
    clock,
    signal,
    onFailure,
  });
  const connection = await connecting.catch((error) => {
    throw problem === undefined ? error : new CheckError(`${showServers(settings.natsServers).join(', ')}: ${problem}`);
  });
  try {
    const manager = await jetstreamManager(connection);
    return await describeStream(connection.getServer(), () => manager.streams.info(STREAM));
  } finally {
    await connection.close();
  }
}

async function describeStream(server: string, read: () => Promise<{ state: { messages: number } }>): Promise<string> {
  try {
    const { state } = await read();
    return `${server} has JetStream, and ${state.messages} messages in stream ${STREAM}`;
  } catch (error) {
    if (!isStreamMissing(error)) throw error;
    return `${server} has JetStream; the operator has not made stream ${STREAM} yet`;
  }
}
