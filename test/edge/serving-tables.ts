import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  type AttributeValue,
  CreateTableCommand,
  DeleteItemCommand,
  DeleteTableCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamodbAccess } from './tables.ts';

type Item = Record<string, AttributeValue>;

/** The environment of a document. */
interface Documented {
  readonly id: number;
  readonly apiKey: string;
  readonly projectId: number;
  /** As Flagsmith writes large documents. */
  readonly compressed?: boolean;
}

/** The tables that only Flagsmith writes for Edge, under separate names, and Flagsmith's content for them. */
export interface ServingTestTables extends AsyncDisposable {
  readonly settings: { readonly environmentsTable: string; readonly environmentsApiKeyTable: string };
  putDocument(environment: Documented): Promise<void>;
  removeDocument(apiKey: string): Promise<void>;
  putServerKey(key: string, clientKey: string, active?: boolean): Promise<void>;
  /** Writes into `environments_v2`. */
  putMeta(table: string, environment: Documented): Promise<void>;
}

export async function createServingTestTables(
  { endpoint, region, credentials }: DynamodbAccess,
  names?: ServingTestTables['settings'],
): Promise<ServingTestTables> {
  const suffix = randomBytes(6).toString('hex');
  const { environmentsTable, environmentsApiKeyTable } = names ?? {
    environmentsTable: `environments-${suffix}`,
    environmentsApiKeyTable: `environment-api-key-${suffix}`,
  };
  const client = new DynamoDBClient({ endpoint, region, credentials });
  const create = (TableName: string, key: string) =>
    client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
        KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
      }),
    );
  await create(environmentsTable, 'api_key');
  await create(environmentsApiKeyTable, 'key');
  const put = async (TableName: string, Item: Item) =>
    void (await client.send(new PutItemCommand({ TableName, Item })));

  return {
    settings: { environmentsTable, environmentsApiKeyTable },
    putDocument: (environment) =>
      put(environmentsTable, { ...describeEnvironment(environment), api_key: { S: environment.apiKey } }),
    async removeDocument(apiKey) {
      await client.send(new DeleteItemCommand({ TableName: environmentsTable, Key: { api_key: { S: apiKey } } }));
    },
    putServerKey: (key, clientKey, active = true) =>
      put(environmentsApiKeyTable, {
        id: { N: '1' },
        key: { S: key },
        client_api_key: { S: clientKey },
        name: { S: 'server' },
        created_at: { S: '2024-01-02T03:04:05.678901+00:00' },
        expires_at: { NULL: true },
        active: { BOOL: active },
      }),
    putMeta: (table, environment) =>
      put(table, {
        ...describeEnvironment(environment),
        environment_id: { S: String(environment.id) },
        document_key: { S: '_META' },
        environment_api_key: { S: environment.apiKey },
      }),
    async [Symbol.asyncDispose]() {
      for (const TableName of [environmentsTable, environmentsApiKeyTable]) {
        await client.send(new DeleteTableCommand({ TableName }));
      }
      client.destroy();
    },
  };
}

/** The deciding attributes, in the format of Flagsmith's own documents. */
function describeEnvironment({ id, projectId, compressed = false }: Documented): Item {
  const common = { id: { N: String(id) }, name: { S: 'environment' } };
  if (!compressed) {
    const project = { M: { id: { N: String(projectId) }, name: { S: 'project' }, segments: { L: [] } } };
    return { ...common, project, feature_states: { L: [] } };
  }
  const pack = (value: unknown) => ({ B: gzipSync(JSON.stringify(value)) });
  return { ...common, project: pack({ id: projectId }), feature_states: pack([]), compressed: { BOOL: true } };
}
