import {
  ConditionalCheckFailedException,
  type ConsumedCapacity,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import { itemBytes } from '../document/size.ts';
import type { Documents } from '../store.ts';
import { createBatchReader } from './batch-reads.ts';
import type { EdgeCallOptions, EdgeConnection, Send } from './connection.ts';
import type { CostAccount } from './cost.ts';
import { ResponseTooLargeError } from './errors.ts';
import { type DocumentWrite, describeWrite, writtenItem } from './writes.ts';

/** The write was done, or was not because the document is no longer as it was read: this is its present state. */
export type WriteResult = 'written' | { readonly changed: Item | undefined };

/** Reads and conditional writes of items by the attribute `keyName`. */
export function createDocuments(
  connection: EdgeConnection,
  account: CostAccount,
  table: string,
  keyName: string,
): Documents {
  const key = (value: string): Item => ({ [keyName]: { S: value } });
  const readItems = createBatchReader(connection, table);

  async function get(value: string, options: EdgeCallOptions = {}): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: table, Key: key(value), ConsistentRead: true });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    return output.Item;
  }

  async function getMany(
    values: readonly string[],
    { mostBytes = Number.POSITIVE_INFINITY, ...options }: EdgeCallOptions & { readonly mostBytes?: number } = {},
  ): Promise<Map<string, Item>> {
    const found = new Map<string, Item>();
    let total = 0;
    for await (const { items, bytes } of readItems([...new Set(values)].map(key), options)) {
      total += bytes;
      if (total > mostBytes && values.length > 1)
        throw new ResponseTooLargeError(`${values.length} documents are too large`);
      for (const item of items) found.set(item[keyName]?.S ?? '', item);
    }
    return found;
  }

  async function* getParts(
    values: readonly string[],
    options: EdgeCallOptions = {},
  ): AsyncGenerator<ReadonlyMap<string, Item>> {
    for await (const { items } of readItems([...new Set(values)].map(key), options)) {
      yield new Map(items.map((item) => [item[keyName]?.S ?? '', item]));
    }
  }

  async function write(document: SingleWrite, options: EdgeCallOptions): Promise<WriteResult> {
    const taken = await account.take([itemBytes(writtenItem(document))], options.signal);
    try {
      const { ConsumedCapacity } = await connection.call(table, send(document), options);
      account.settle(taken, ConsumedCapacity === undefined ? undefined : [ConsumedCapacity], []);
      return 'written';
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { changed: error.Item };
      account.refund(taken);
      throw error;
    }
  }

  function send(document: SingleWrite): Send<{ ConsumedCapacity?: ConsumedCapacity | undefined }> {
    const described = describeWrite(table, keyName, document);
    return (client, handling) => {
      switch (described.kind) {
        case 'put':
          return client.send(new PutItemCommand({ ...described.input, ...REPORTING }), handling);
        case 'update':
          return client.send(new UpdateItemCommand({ ...described.input, ...REPORTING }), handling);
        case 'delete':
          return client.send(new DeleteItemCommand({ ...described.input, ...REPORTING }), handling);
        case 'check':
          throw new TypeError('a check alone writes nothing');
      }
    };
  }

  return {
    get,
    getMany,
    getParts,
    putIfUnchanged: (item, expected, options = {}) => write({ kind: 'put', item, expected }, options),
    deleteIfUnchanged: (expected, options = {}) => write({ kind: 'delete', expected }, options),
    updateIfUnchanged: (value, { set = {}, remove }, expected, options = {}) =>
      write({ kind: 'update', key: value, set, remove, expected }, options),
  };
}

type SingleWrite = Extract<DocumentWrite, { kind: 'put' | 'update' | 'delete' }>;

const REPORTING = {
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  ReturnConsumedCapacity: 'TOTAL',
} as const;
