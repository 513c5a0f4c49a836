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
import { createBatchReader } from './batch-reads.ts';
import type { CallOptions, Connection, Send } from './connection.ts';
import type { CostAccount } from './cost.ts';
import { ResponseTooLarge } from './errors.ts';
import { type DocumentWrite, describeWrite, type Expected, writtenItem } from './writes.ts';

/** The write was done, or nothing was done because the document is no longer as it was read: this is what it is now. */
export type WriteResult = 'written' | { readonly changed: Item | undefined };

/**
 * Reads and conditional writes of items by key.
 *
 * Every condition compares attributes with the values that were read: DynamoDB compares lists and maps deeply (list
 * order counts, map order does not, 10 = 10.0). A write that is sent again after its answer was lost may find its own
 * work and report it as `changed`; the caller looks at the document and sees that nothing is left to do.
 */
export function createDocuments(connection: Connection, account: CostAccount, table: string, keyName: string) {
  const key = (value: string): Item => ({ [keyName]: { S: value } });
  const readItems = createBatchReader(connection, table);

  /** Consistent. */
  async function get(value: string, options: CallOptions = {}): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: table, Key: key(value), ConsistentRead: true });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    return output.Item;
  }

  /**
   * Consistent; the documents that exist, by key.
   *
   * @throws ResponseTooLarge when several keys were asked for and their documents have more than `mostBytes` together
   */
  async function getMany(
    values: readonly string[],
    { mostBytes = Number.POSITIVE_INFINITY, ...options }: CallOptions & { readonly mostBytes?: number } = {},
  ): Promise<Map<string, Item>> {
    const found = new Map<string, Item>();
    let total = 0;
    for await (const { items, bytes } of readItems([...new Set(values)].map(key), options)) {
      total += bytes;
      if (total > mostBytes && values.length > 1)
        throw new ResponseTooLarge(`${values.length} documents are too large`);
      for (const item of items) found.set(item[keyName]?.S ?? '', item);
    }
    return found;
  }

  /** As {@link getMany}, in parts that each take little memory; each key is in one part at most. */
  async function* getParts(
    values: readonly string[],
    options: CallOptions = {},
  ): AsyncGenerator<ReadonlyMap<string, Item>> {
    for await (const { items } of readItems([...new Set(values)].map(key), options)) {
      yield new Map(items.map((item) => [item[keyName]?.S ?? '', item]));
    }
  }

  /**
   * Stores the whole document if the one in the table is as `expected`; `undefined`: if there is none.
   *
   * @throws WriteRejected when DynamoDB can never store it
   */
  const putIfUnchanged = (item: Item, expected: Item | undefined, options: CallOptions = {}) =>
    write({ kind: 'put', item, expected }, options);

  /** Deletes the document if it is as `expected`. */
  const deleteIfUnchanged = (expected: Item, options: CallOptions = {}) => write({ kind: 'delete', expected }, options);

  /**
   * Changes single attributes of a document that exists, and leaves all others as they are.
   *
   * @param value the document's key
   * @param change attributes to set, and names of attributes to remove
   * @param expected attributes that must be as they were read; `undefined` for one that must not exist
   * @throws WriteRejected when DynamoDB can never store it
   */
  const updateIfUnchanged = (
    value: string,
    { set = {}, remove }: { readonly set?: Item; readonly remove?: readonly string[] },
    expected: Expected,
    options: CallOptions = {},
  ) => write({ kind: 'update', key: value, set, remove, expected }, options);

  async function write(document: SingleWrite, options: CallOptions): Promise<WriteResult> {
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

  return { get, getMany, getParts, putIfUnchanged, deleteIfUnchanged, updateIfUnchanged };
}

type SingleWrite = Extract<DocumentWrite, { kind: 'put' | 'update' | 'delete' }>;

const REPORTING = {
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  ReturnConsumedCapacity: 'TOTAL',
} as const;
