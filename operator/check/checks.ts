import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { COVERAGE_STREAM, findStream } from '@edge-migration/contract/streams/events.ts';
import { type Core, openCore } from '@edge-migration/identity/core/core.ts';
import { createProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { describeReplication, findInactiveReplicas, nameReplica } from '@edge-migration/identity/edge/replication.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { connectToEdge } from '@edge-migration/identity/edge/table/connection.ts';
import { openEdge, type TableFacts } from '@edge-migration/identity/edge/table/table.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { SKEW_MS } from '../edge-migration/clock-skew.ts';
import { type Check, type CheckDetails, CheckError, type CheckOutcome } from './check.ts';
import type { CheckConfiguration } from './config.ts';
import { type CheckedNats, checkStreams, openNats } from './nats.ts';
import { type Shared, share } from './shared.ts';

export interface CheckSettings {
  configuration: CheckConfiguration;
  client: Pick<KubernetesClient, 'list'>;
  clock: Clock;
}

/** All checks that apply to the configuration; nothing is changed. */
export function createChecks({ configuration, client, clock }: CheckSettings): Check[] {
  return [
    {
      name: 'Kubernetes',
      remedy: 'install the definition and the rights of the operator: docs/install.md',
      run: (signal) => checkDefinition(configuration, client, signal),
    },
    ...createStoreChecks({ configuration, clock }),
  ];
}

/** The configured parts besides Kubernetes. */
export function createStoreChecks({ configuration, clock }: Omit<CheckSettings, 'client'>): Check[] {
  const { natsServers } = configuration;
  const onCore = share(async () => openCheckedCore(configuration));
  const onNats = share((signal) => openNats(configuration, clock, signal));
  const checks: Check[] = [
    {
      name: 'Postgres',
      remedy: "correct the Secret with Core's URL, or what its user may do: docs/install.md",
      run: (signal) => onCore(signal, ({ core }) => checkCore(core, signal)),
    },
    {
      name: 'DynamoDB',
      remedy: "correct the tables' names, or the operator's AWS rights: docs/install.md, docs/security.md",
      run: (signal) => checkEdge(configuration, clock, signal),
    },
  ];
  if (natsServers !== undefined || configuration.capture !== 'Disabled')
    checks.push({
      name: 'NATS',
      remedy: "correct the servers, or the rights of the operator's user: docs/install.md, docs/security.md",
      run: (signal) => onNats(signal, ({ manager, server }) => checkStreams(manager, server)),
    });
  checks.push({
    name: 'Clocks',
    remedy: 'check Postgres and NATS first: their clocks can be read once they answer',
    run: (signal) => checkClocks({ onCore, onNats: natsServers === undefined ? undefined : onNats }, clock, signal),
  });
  return checks;
}

/** Runs all at the same time, so that an unreachable one does not hide the others. */
export async function runChecks(
  checks: readonly Check[],
  timeoutMs: number,
  stop: AbortSignal = new AbortController().signal,
): Promise<CheckOutcome[]> {
  return Promise.all(
    checks.map(async ({ name, run, remedy }): Promise<CheckOutcome> => {
      const late = AbortSignal.timeout(timeoutMs);
      try {
        const { text, warnings = [] } = await run(AbortSignal.any([stop, late]));
        if (warnings.length === 0) return { name, verdict: 'ok', text };
        return {
          name,
          verdict: 'warning',
          text: `${text}; but ${warnings.join('; ')}`,
          remedy: 'docs/troubleshooting.md',
        };
      } catch (error) {
        stop.throwIfAborted();
        const isLate = late.aborted && error === late.reason;
        const text = isLate ? `no answer within ${timeoutMs / 1000} s` : errorMessage(error);
        return { name, verdict: 'failed', text, remedy };
      }
    }),
  );
}

async function checkDefinition(
  { watchNamespaces }: CheckConfiguration,
  client: CheckSettings['client'],
  signal: AbortSignal,
): Promise<CheckDetails> {
  const places = watchNamespaces ?? [undefined];
  const lists = await Promise.all(
    places.map((namespace) => client.list(EDGE_MIGRATIONS, namespace === undefined ? {} : { namespace }, { signal })),
  );
  const count = lists.reduce((sum, { items }) => sum + items.length, 0);
  return { text: `${count} EdgeMigrations in ${watchNamespaces?.join(', ') ?? 'all namespaces'}` };
}

interface CheckedCore extends AsyncDisposable {
  readonly core: Core;
}

function openCheckedCore({ databaseUrl, ...rest }: CheckConfiguration): CheckedCore {
  if (databaseUrl === undefined) {
    throw new CheckError('EDGE_MIGRATION_DATABASE_URL is not set: its Secret, or the key in it, does not exist');
  }
  const core = openCore({ ...rest, databaseUrl }, { maxConnections: 1, applicationName: 'edge-migration-check' });
  return { core, [Symbol.asyncDispose]: () => core.close() };
}

async function checkCore(core: Core, signal: AbortSignal): Promise<CheckDetails> {
  await core.server.release(signal);
  await core.server.probeTables(signal);
  const missing = await core.server.missingIndexes(signal);
  const warnings = missing.map(
    (index) => `there is no valid index on ${index}: copies and replay scan the whole table`,
  );
  if (await core.server.hasCollationDrift(signal))
    warnings.push('the index on identifiers was built with another version of the collation: rebuild it (REINDEX)');
  return { text: `${core.name} is the primary of a Flagsmith database and can be read`, warnings };
}

/**
 * The indexes by which Flagsmith itself finds identities (docs/flagsmith.md, "DynamoDB tables, indexes, limits").
 */
const EDGE_INDEXES = ['environment_api_key-identifier-index', 'identity_uuid-index'];

async function checkEdge(configuration: CheckConfiguration, clock: Clock, signal: AbortSignal): Promise<CheckDetails> {
  const options = { clock, retryBudgetMs: 5000 };
  const edge = openEdge(configuration, options);
  const connection = connectToEdge(configuration, options);
  const { identitiesTable, environmentsV2Table, projectMetadataTable, environmentsTable, environmentsApiKeyTable } =
    configuration;
  try {
    const { identities, overrideRows } = await edge.describe({ signal });
    const described = overrideRows === undefined ? [identities] : [identities, overrideRows];
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
    const text = `${tables.join(', ')} can be described; ${describeRegions(described)}`;
    const absent = described.flatMap((facts) => findAbsent(facts, configuration));
    return { text, warnings: [...describeIndexes(identities), ...described.flatMap(describeReplicas), ...absent] };
  } finally {
    edge.close();
    connection.close();
  }
}

/** Reported once if it is the same for both tables. */
function describeRegions(tables: readonly TableFacts[]): string {
  const texts = tables.map(({ replication, region }) => describeReplication(replication, region));
  if (new Set(texts).size === 1) return texts[0] ?? '';
  return tables.map(({ table }, index) => `${table} ${texts[index]}`).join(', ');
}

/** Informational only. */
function describeReplicas({ table, replication }: TableFacts): string[] {
  return findInactiveReplicas(replication).map(
    (replica) => `the replica of table ${table} in ${nameReplica(replica)} is not ACTIVE and may lag behind`,
  );
}

/** Other configured regions without the table: appliers would wait indefinitely for a misspelt one. */
function findAbsent(
  { table, region: home, replication }: TableFacts,
  { dynamodbOtherRegions = [] }: CheckConfiguration,
): string[] {
  if (replication.kind === 'SingleRegion' && replication.isUnsure) return [];
  const replicas = replication.kind === 'GlobalTable' ? replication.replicas : [];
  const present = new Set([home, ...replicas.map(({ region }) => region)]);
  return dynamodbOtherRegions
    .filter((region) => !present.has(region))
    .map((region) => `table ${table} has no replica in ${region}, which EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS names`);
}

function describeIndexes({ table, indexes }: TableFacts): string[] {
  const missing = EDGE_INDEXES.filter((name) => !indexes.includes(name));
  return missing.map((name) => `table ${table} has no index ${name}, by which Flagsmith looks for identities`);
}

/** The differences between this machine's clock, Core's and NATS'; an unreadable one is reported. */
async function checkClocks(
  { onCore, onNats }: { onCore: Shared<CheckedCore>; onNats: Shared<CheckedNats> | undefined },
  clock: Clock,
  signal: AbortSignal,
): Promise<CheckDetails> {
  const clocks: [string, () => Promise<number | undefined>][] = [
    ["Core's Postgres", () => onCore(signal, ({ core }) => core.server.time(signal))],
  ];
  if (onNats !== undefined) clocks.push(['NATS', () => onNats(signal, ({ manager }) => readStreamTime(manager))]);
  const read = await Promise.all(clocks.map(async ([name, ask]) => ({ name, ahead: await measure(clock, ask) })));
  const known = read.flatMap(({ name, ahead }) => (ahead === undefined ? [] : [{ name, ahead }]));
  if (known.length === 0)
    throw new CheckError(`the clock of ${read.map(({ name }) => name).join(' and of ')} cannot be read`);
  const warnings = [
    ...known
      .filter(({ ahead }) => Math.abs(ahead) > SKEW_MS)
      .map(({ name, ahead }) => `that of ${name} is ${describeAhead(ahead)}: correct the time synchronisation`),
    ...read.filter(({ ahead }) => ahead === undefined).map(({ name }) => `that of ${name} could not be read`),
  ];
  const names = known.map(({ name, ahead }) => `${name} ${describeAhead(ahead)}`).join(', ');
  return { text: `compared with this machine's: ${names}`, warnings };
}

async function readStreamTime(manager: Parameters<typeof findStream>[0]): Promise<number | undefined> {
  const time = (await findStream(manager, COVERAGE_STREAM))?.ts;
  return time === undefined ? undefined : Date.parse(String(time));
}

/** Milliseconds by which a clock is ahead, accurate to half of the round trip; undefined if it cannot be read. */
async function measure(clock: Clock, ask: () => Promise<number | undefined>): Promise<number | undefined> {
  try {
    const time = await ask();
    return time === undefined ? undefined : time - clock.now();
  } catch {
    // The check of the store itself reports the reason.
    return undefined;
  }
}

const describeAhead = (ahead: number) =>
  Math.abs(ahead) < 1000
    ? 'less than a second apart'
    : `${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead' : 'behind'}`;
