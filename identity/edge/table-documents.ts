import {
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Item } from './document.ts';
import { itemBytes } from './document-size.ts';
import type { CallOptions, Connection } from './table-connection.ts';
import type { CostAccount } from './table-cost.ts';
import { createCondition, createNames, createValues } from './table-expressions.ts';

/** The write was done, or nothing was done because the document is no longer as it was read: this is what it is now. */
export type WriteResult = 'written' | { readonly changed: Item | undefined };

/** DynamoDB takes no more keys in one call. */
export const GET_BATCH = 100;

/**
 * Reads and conditional writes of items by key.
 *
 * Every condition compares attributes with the values that were read: DynamoDB compares lists and maps deeply (list
 * order counts, map order does not, 10 = 10.0). A write that is sent again after its answer was lost may find its own
 * work and report it as `changed`; the caller looks at the document and sees that nothing is left to do.
 */
export function createDocuments(connection: Connection, account: CostAccount, table: string, keyName: string) {
  const key = (value: string): Item => ({ [keyName]: { S: value } });

  /** Consistent. */
  async function get(value: string, options: CallOptions = {}): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: table, Key: key(value), ConsistentRead: true });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    return output.Item;
  }

  /** Consistent; the documents that exist, by key. */
  async function getMany(values: readonly string[], options: CallOptions = {}): Promise<Map<string, Item>> {
    const found = new Map<string, Item>();
    const wanted = [...new Set(values)];
    for (let from = 0; from < wanted.length; from += GET_BATCH) {
      await getBatch(wanted.slice(from, from + GET_BATCH).map(key), found, options);
    }
    return found;
  }

  async function getBatch(keys: Item[], found: Map<string, Item>, options: CallOptions): Promise<void> {
    let open = keys;
    for (let attempt = 0; ; attempt++) {
      const command = new BatchGetItemCommand({ RequestItems: { [table]: { Keys: open, ConsistentRead: true } } });
      const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
      const items = output.Responses?.[table] ?? [];
      for (const item of items) found.set(item[keyName]?.S ?? '', item);
      open = output.UnprocessedKeys?.[table]?.Keys ?? [];
      if (open.length === 0) return;
      // A large answer comes in parts; only a part without anything in it means that we are too fast.
      if (items.length > 0) attempt = 0;
      else await connection.pause(attempt, options.signal);
    }
  }

  /**
   * Stores the whole document if the one in the table is as `expected`; `undefined`: if there is none.
   *
   * @throws WriteRejected when DynamoDB can never store it
   */
  function putIfUnchanged(item: Item, expected: Item | undefined, options: CallOptions = {}): Promise<WriteResult> {
    const names = createNames();
    const values = createValues();
    // An attribute that appeared meanwhile must not be erased by this put.
    const unseen = expected === undefined ? [keyName] : [...Object.keys(item), ...OPTIONAL_ATTRIBUTES];
    const condition = createCondition(names, values, { ...absent(unseen), ...expected });
    const command = new PutItemCommand({
      TableName: table,
      Item: item,
      ConditionExpression: condition,
      ...names.attributes(),
      ...values.attributes(),
      ...REPORTING,
    });
    return write(item, (client, handling) => client.send(command, handling), options);
  }

  /** Deletes the document if it is as `expected`. */
  function deleteIfUnchanged(expected: Item, options: CallOptions = {}): Promise<WriteResult> {
    const names = createNames();
    const values = createValues();
    const condition = createCondition(names, values, { ...absent(OPTIONAL_ATTRIBUTES), ...expected });
    const command = new DeleteItemCommand({
      TableName: table,
      Key: { [keyName]: expected[keyName]! },
      ConditionExpression: condition,
      ...names.attributes(),
      ...values.attributes(),
      ...REPORTING,
    });
    return write(expected, (client, handling) => client.send(command, handling), options);
  }

  /**
   * Changes single attributes of a document that exists, and leaves all others as they are.
   *
   * @param value the document's key
   * @param change attributes to set, and names of attributes to remove
   * @param expected attributes that must be as they were read; `undefined` for one that must not exist
   * @throws WriteRejected when DynamoDB can never store it
   */
  function updateIfUnchanged(
    value: string,
    change: { readonly set?: Item; readonly remove?: readonly string[] },
    expected: Readonly<Record<string, Item[string] | undefined>>,
    options: CallOptions = {},
  ): Promise<WriteResult> {
    const names = createNames();
    const values = createValues();
    const set = Object.entries(change.set ?? {}).map(([name, to]) => `${names.add(name)} = ${values.add(to)}`);
    const remove = (change.remove ?? []).map((name) => names.add(name));
    // Without the key in the condition an update would create a document.
    const condition = createCondition(names, values, { ...key(value), ...expected });
    const clauses = [];
    if (set.length > 0) clauses.push(`SET ${set.join(', ')}`);
    if (remove.length > 0) clauses.push(`REMOVE ${remove.join(', ')}`);
    const command = new UpdateItemCommand({
      TableName: table,
      Key: key(value),
      UpdateExpression: clauses.join(' '),
      ConditionExpression: condition,
      ...names.attributes(),
      ...values.attributes(),
      ...REPORTING,
    });
    return write({ ...known(expected), ...change.set }, (client, handling) => client.send(command, handling), options);
  }

  async function write(
    item: Item,
    send: Parameters<typeof connection.call<{ ConsumedCapacity?: object | undefined }>>[1],
    options: CallOptions,
  ): Promise<WriteResult> {
    const taken = await account.take([itemBytes(item)], options.signal);
    try {
      const { ConsumedCapacity } = await connection.call(table, send, options);
      account.settle(taken, ConsumedCapacity === undefined ? undefined : [ConsumedCapacity], []);
      return 'written';
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { changed: error.Item };
      account.refund(taken);
      throw error;
    }
  }

  return { get, getMany, putIfUnchanged, deleteIfUnchanged, updateIfUnchanged };
}

/** Attributes that others may add to an identity document at any time. */
const OPTIONAL_ATTRIBUTES = ['dashboard_alias', 'system_traits'];

const REPORTING = {
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  ReturnConsumedCapacity: 'TOTAL',
} as const;

/** What is known of the document, for its size. */
function known(expected: Readonly<Record<string, Item[string] | undefined>>): Item {
  return Object.fromEntries(
    Object.entries(expected).filter((entry): entry is [string, Item[string]] => entry[1] !== undefined),
  );
}

function absent(names: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
