import { randomBytes } from 'node:crypto';
import {
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import type { GlobalTableRegion } from './global-table.ts';

/** A client of one region that sends each request once. */
export class RegionClient implements Disposable {
  readonly sdk: DynamoDBClient;
  readonly table: string;

  constructor({ endpoint, region, credentials }: GlobalTableRegion, table: string) {
    this.sdk = new DynamoDBClient({ endpoint, region, credentials, maxAttempts: 1 });
    this.table = table;
  }

  async createTable(): Promise<void> {
    await this.sdk.send(
      new CreateTableCommand({
        TableName: this.table,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    );
  }

  /** Stores the item `{ id, value }`; with `insert` only if there is none. */
  async put(id: string, value: string, { insert = false } = {}): Promise<void> {
    const condition = insert ? { ConditionExpression: 'attribute_not_exists(id)' } : {};
    const Item = { id: { S: id }, value: { S: value } };
    await this.sdk.send(new PutItemCommand({ TableName: this.table, Item, ...condition }));
  }

  async delete(id: string): Promise<void> {
    await this.sdk.send(new DeleteItemCommand({ TableName: this.table, Key: { id: { S: id } } }));
  }

  /** The item's value, by a strongly consistent read unless specified otherwise. */
  async get(id: string, { ConsistentRead = true } = {}): Promise<string | undefined> {
    const Key = { id: { S: id } };
    const { Item } = await this.sdk.send(new GetItemCommand({ TableName: this.table, Key, ConsistentRead }));
    return Item?.['value']?.S;
  }

  /** Everything in the table: values by identifier. */
  async scan(): Promise<Record<string, string | undefined>> {
    const { Items = [] } = await this.sdk.send(new ScanCommand({ TableName: this.table, ConsistentRead: true }));
    const entries = Items.map((item) => [item['id']?.S ?? '', item['value']?.S] as const);
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  [Symbol.dispose](): void {
    this.sdk.destroy();
  }
}

export const newTableName = () => `global-${randomBytes(6).toString('hex')}`;
