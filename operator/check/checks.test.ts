import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { startGlobalTable } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { createDatabase, dynamodb, kubernetes, nats, regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createServingTestTables, type ServingTestTables } from '@edge-migration/test/edge/serving-tables.ts';
import { createTables } from '@edge-migration/test/edge/tables.ts';
import { installCrd } from '@edge-migration/test/integration/crd.ts';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createChecks, runChecks } from './checks.ts';
import { checkConfiguration } from './config.ts';

const started = new AsyncDisposableStack();
let client: KubernetesClient;
let working: Record<string, string>;
let serving: ServingTestTables;

beforeAll(async () => {
  const kubeConfig = loadKubeConfig((await kubernetes()).kubeconfig);
  client = createClient({ kubeConfig, clock: systemClock, userAgent: 'check-test' });
  started.defer(() => client.close());
  await installCrd(client);
  const database = await createDatabase();
  started.defer(() => database.drop());
  const server = await dynamodb();
  const { settings } = started.use(await createTables(server));
  serving = started.use(await createServingTestTables(server));
  started.defer(() => void vi.unstubAllEnvs());
  vi.stubEnv('AWS_ACCESS_KEY_ID', server.credentials.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.credentials.secretAccessKey);
  working = {
    EDGE_MIGRATION_DATABASE_URL: database.url,
    EDGE_MIGRATION_DYNAMODB_ENDPOINT: server.endpoint,
    EDGE_MIGRATION_IDENTITIES_TABLE: settings.identitiesTable,
    EDGE_MIGRATION_NATS_SERVERS: (await nats()).url,
  };
});

afterAll(() => started.disposeAsync());

/** @param limitMs only against hanging, unless something cannot be reached */
async function check(changes: Record<string, string | undefined> = {}, limitMs = 120_000) {
  const configuration = parseEnvironment(checkConfiguration, { ...working, ...changes });
  const outcomes = await runChecks(createChecks({ configuration, client, clock: systemClock }), limitMs);
  return Object.fromEntries(outcomes.map(({ name, verdict, text }) => [name, `${verdict}: ${text}`]));
}

it('the check passes for a complete installation', async () => {
  expect(await check()).toEqual({
    Kubernetes: expect.stringMatching(/^ok: \d+ EdgeMigrations in all namespaces/),
    Postgres: expect.stringMatching(/^ok: .* can be read/),
    DynamoDB: expect.stringMatching(/^ok: .* can be described/),
    // Whether its streams exist depends on other users of this run's server.
    NATS: expect.stringMatching(/^(ok|warning): .*JetStream/),
    Clocks: expect.stringMatching(/^(ok|warning): .*Core's Postgres less than a second apart/),
  });
});

it('the check names configured regions without the table', async () => {
  const { DynamoDB } = await check({ EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS: 'us-esat-2' });
  expect(DynamoDB).toMatch(/^warning: .* has no replica in us-esat-2/);
});

it('the check names the regions of the tables, and warns of a replica that is not ACTIVE', async () => {
  await using global = await startGlobalTable({
    regions: ['eu-west-2', 'us-east-2'],
    server: await regionalDynamodb(),
  });
  const { endpoint, region } = global.region('eu-west-2');
  const { settings } = await createTables(global.region('eu-west-2'));
  const find = async () =>
    (
      await check({
        EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint,
        EDGE_MIGRATION_DYNAMODB_REGION: region,
        EDGE_MIGRATION_IDENTITIES_TABLE: settings.identitiesTable,
      })
    )['DynamoDB'];
  expect(await find()).toMatch(/^ok: .*global table with eventual consistency in eu-west-2, us-east-2$/);
  global.region('us-east-2').setStatus('REGION_DISABLED');
  expect(await find()).toMatch(/^warning: .* in us-east-2 \(REGION_DISABLED\) is not ACTIVE and may lag behind/);
});

/** A proxy of a server that counts its connections. */
async function countConnections(to: string) {
  const target = new URL(to);
  const [port, host] = [Number(target.port), target.hostname];
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    const upstream = connect(port, host);
    const end = () => [socket, upstream].forEach((each) => void each.destroy());
    for (const each of [socket, upstream]) each.on('error', end).on('close', end);
    socket.pipe(upstream).pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  target.hostname = '127.0.0.1';
  target.port = String((server.address() as AddressInfo).port);
  started.defer(() => void server.close());
  return { url: target.href, count: () => count };
}

it('the check opens one connection each to Postgres and NATS, and reads their clocks through it', async () => {
  const database = new URL(working['EDGE_MIGRATION_DATABASE_URL']!);
  // Otherwise each attempts an encrypted connection first.
  database.searchParams.set('sslmode', 'disable');
  const [core, stream] = [
    await countConnections(database.href),
    await countConnections(working['EDGE_MIGRATION_NATS_SERVERS']!),
  ];
  const found = await check({ EDGE_MIGRATION_DATABASE_URL: core.url, EDGE_MIGRATION_NATS_SERVERS: stream.url });
  expect(found['Postgres']).toMatch(/^ok/);
  expect(found['Clocks']).toMatch(/Core's Postgres/);
  expect([core.count(), stream.count()]).toEqual([1, 1]);
});

it('the check warns of a missing index, in Core or Edge, that is used to find identities', async () => {
  await using database = await createDatabase();
  await execute(database.url, 'DROP INDEX environments_trait_identity_id_144c9227');
  expect((await check({ EDGE_MIGRATION_DATABASE_URL: database.url }))['Postgres']).toMatch(
    /^warning: .*; but there is no valid index on environments_trait \(identity_id\)/,
  );
  const unindexed = { EDGE_MIGRATION_IDENTITIES_TABLE: await createUnindexed() };
  expect((await check(unindexed))['DynamoDB']).toMatch(/^warning: .* has no index identity_uuid-index/);
});

/** A table of identities as if created by hand. */
async function createUnindexed(): Promise<string> {
  const server = await dynamodb();
  const dynamo = new DynamoDBClient(server);
  const TableName = `unindexed-${process.pid}`;
  await dynamo.send(
    new CreateTableCommand({
      TableName,
      KeySchema: [{ AttributeName: 'composite_key', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'composite_key', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
  started.defer(async () => {
    await dynamo.send(new DeleteTableCommand({ TableName }));
    dynamo.destroy();
  });
  return TableName;
}

it('the check covers the other tables that Edge needs, and their keys', async () => {
  const tables = {
    EDGE_MIGRATION_ENVIRONMENTS_TABLE: serving.settings.environmentsTable,
    EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE: serving.settings.environmentsApiKeyTable,
  };
  expect((await check(tables))['DynamoDB']).toMatch(
    /^ok: .*, environments-\w+, environment-api-key-\w+ can be described/,
  );
  const swapped = { EDGE_MIGRATION_ENVIRONMENTS_TABLE: serving.settings.environmentsApiKeyTable };
  expect((await check(swapped))['DynamoDB']).toMatch(
    /^failed: .* has the key key S \(HASH\), expected api_key S \(HASH\)/,
  );
  const missing = { EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE: 'no_such_table' };
  expect((await check(missing))['DynamoDB']).toMatch(/^failed: .*no_such_table/);
});

it('the check includes NATS only if writes are captured', async () => {
  expect(await check({ EDGE_MIGRATION_NATS_SERVERS: undefined })).not.toHaveProperty('NATS');
});

it("the configuration of the check accepts the operator's own environment", async () => {
  const manifest = readFileSync(new URL('../deploy/operator.yaml', import.meta.url), 'utf8');
  const deployment = parseAllDocuments(manifest)
    .map((document) => document.toJS())
    .find(({ kind }) => kind === 'Deployment');
  const { env } = deployment.spec.template.spec.containers[0] as { env: { name: string; value?: string }[] };
  const own = Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'from-the-pod']));
  expect(await check({ ...own, EDGE_MIGRATION_CAPTURE: 'Required' })).toHaveProperty('NATS');
});

it('the check reports missing settings of NATS if writes are captured', async () => {
  const outcome = await check({ EDGE_MIGRATION_CAPTURE: 'Required', EDGE_MIGRATION_NATS_SERVERS: undefined });
  expect(outcome['NATS']).toMatch(/^failed: EDGE_MIGRATION_NATS_SERVERS is not set/);
});

it('the check reports a missing Secret', async () => {
  const outcome = await check({ EDGE_MIGRATION_DATABASE_URL: undefined });
  expect(outcome['Postgres']).toMatch(/^failed: .*its Secret, or the key in it, does not exist/);
});

it('the check reports each unreachable part independently of the others', async () => {
  const nowhere = '127.0.0.1:1';
  const missing = {
    EDGE_MIGRATION_DATABASE_URL: `postgres://reader:word@${nowhere}/flagsmith`,
    EDGE_MIGRATION_IDENTITIES_TABLE: 'no_such_table',
    EDGE_MIGRATION_NATS_SERVERS: `nats://${nowhere}`,
  };
  const outcome = await check(missing, 30_000);
  expect(outcome).toEqual({
    Kubernetes: expect.stringMatching(/^ok/),
    Postgres: expect.stringMatching(/^failed: .*127\.0\.0\.1:1/),
    DynamoDB: expect.stringMatching(/^failed: .*no_such_table/),
    NATS: expect.stringMatching(/^failed: nats:\/\/127\.0\.0\.1:1/),
    Clocks: expect.stringMatching(/^failed: the clock of Core's Postgres and of NATS cannot be read/),
  });
});
