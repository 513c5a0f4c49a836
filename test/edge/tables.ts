import { randomBytes } from 'node:crypto';
import {
  type AttributeValue,
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteTableCommand,
  DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';

type Item = Record<string, AttributeValue>;

/** Address of a DynamoDB server, as returned by `dynamodb()` and `startDynamodb()`. */
export interface DynamodbAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Edge's tables as created by Flagsmith, under separate names. */
export interface TestTables extends AsyncDisposable {
  /** In the format of `edgeSettings`. */
  readonly settings: {
    readonly dynamodbEndpoint: string;
    readonly dynamodbRegion: string;
    readonly identitiesTable: string;
    readonly environmentsV2Table: string;
    readonly projectMetadataTable: string;
  };
  /** All items of a table; of the identities table by default. */
  scan(table?: string): Promise<Item[]>;
  /** The identities' documents of an environment: cheaper than a scan where a test polls. */
  query(environmentKey: string): Promise<Item[]>;
  /** Their number: hardly any work, where a test waits for a number of them. */
  count(environmentKey: string): Promise<number>;
  /** One identity's document. */
  get(compositeKey: string): Promise<Item | undefined>;
  /** Deletes the tables. */
  drop(): Promise<void>;
}

const ENVIRONMENT_INDEX = 'environment_api_key-identifier-index';
/** Without a limit DynamoDB Local fails on large tables. */
const SCAN_PAGE = 1_000;

export async function createTables(
  { endpoint, region, credentials }: DynamodbAccess,
  suffix = randomBytes(6).toString('hex'),
): Promise<TestTables> {
  const identitiesTable = `identities-${suffix}`;
  const environmentsV2Table = `environments-v2-${suffix}`;
  const projectMetadataTable = `project-metadata-${suffix}`;
  const client = new DynamoDBClient({ endpoint, region, credentials });
  await client.send(new CreateTableCommand(identities(identitiesTable)));
  await client.send(new CreateTableCommand(projectMetadata(projectMetadataTable)));
  await client.send(new CreateTableCommand(environmentsV2(environmentsV2Table)));

  async function drop(): Promise<void> {
    for (const TableName of [identitiesTable, environmentsV2Table, projectMetadataTable]) {
      await client.send(new DeleteTableCommand({ TableName })).catch((error: Error) => {
        if (error.name !== 'ResourceNotFoundException') throw error;
      });
    }
    client.destroy();
  }

  async function* pagesOf(environmentKey: string, Select: 'COUNT' | 'ALL_ATTRIBUTES') {
    let from: Item | undefined;
    do {
      const page = await client.send(
        new QueryCommand({
          TableName: identitiesTable,
          IndexName: ENVIRONMENT_INDEX,
          KeyConditionExpression: 'environment_api_key = :key',
          ExpressionAttributeValues: { ':key': { S: environmentKey } },
          ExclusiveStartKey: from,
          Limit: SCAN_PAGE,
          Select,
        }),
      );
      yield page;
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  }

  return {
    settings: {
      dynamodbEndpoint: endpoint,
      dynamodbRegion: region,
      identitiesTable,
      environmentsV2Table,
      projectMetadataTable,
    },
    async get(compositeKey) {
      const Key = { composite_key: { S: compositeKey } };
      return (await client.send(new GetItemCommand({ TableName: identitiesTable, Key, ConsistentRead: true }))).Item;
    },
    async query(environmentKey) {
      const items: Item[] = [];
      for await (const { Items = [] } of pagesOf(environmentKey, 'ALL_ATTRIBUTES')) items.push(...Items);
      return items;
    },
    async count(environmentKey) {
      let count = 0;
      for await (const { Count = 0 } of pagesOf(environmentKey, 'COUNT')) count += Count;
      return count;
    },
    async scan(table = identitiesTable) {
      const items: Item[] = [];
      let from: Item | undefined;
      do {
        const page = await client.send(
          new ScanCommand({ TableName: table, ExclusiveStartKey: from, ConsistentRead: true, Limit: SCAN_PAGE }),
        );
        items.push(...(page.Items ?? []));
        from = page.LastEvaluatedKey;
      } while (from !== undefined);
      return items;
    },
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

/** The identities table with the indexes of Flagsmith's own test fixture. */
export function identities(TableName: string): CreateTableCommandInput {
  return {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: strings(
      'composite_key',
      'environment_api_key',
      'identifier',
      'identity_uuid',
      'dashboard_alias',
    ),
    KeySchema: [{ AttributeName: 'composite_key', KeyType: 'HASH' }],
    GlobalSecondaryIndexes: [
      {
        IndexName: ENVIRONMENT_INDEX,
        KeySchema: [
          { AttributeName: 'environment_api_key', KeyType: 'HASH' },
          { AttributeName: 'identifier', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
      {
        IndexName: 'identity_uuid-index',
        KeySchema: [{ AttributeName: 'identity_uuid', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'ALL' },
      },
      {
        IndexName: 'environment_api_key-dashboard_alias-index-v2',
        KeySchema: [
          { AttributeName: 'environment_api_key', KeyType: 'HASH' },
          { AttributeName: 'dashboard_alias', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['identifier'] },
      },
    ],
  };
}

export function environmentsV2(TableName: string): CreateTableCommandInput {
  return {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: strings('environment_id', 'document_key'),
    KeySchema: [
      { AttributeName: 'environment_id', KeyType: 'HASH' },
      { AttributeName: 'document_key', KeyType: 'RANGE' },
    ],
  };
}

function projectMetadata(TableName: string): CreateTableCommandInput {
  return {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
  };
}

const strings = (...names: string[]) => names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const }));
