import { BatchWriteItemCommand, DeleteItemCommand, type WriteRequest } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import { itemBytes } from '../document/size.ts';
import type { OverrideRows } from '../store.ts';
import { createBatchReader } from './batch-reads.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import { createCostAccount } from './cost.ts';
import { EdgeThrottledError } from './errors.ts';
import { createRowListing } from './listing.ts';

/** The key of a row of `environments_v2`: Core's environment id as decimal text, and the document's key. */
export interface OverrideRowKey {
  readonly environment_id: string;
  readonly document_key: string;
}

/** DynamoDB accepts no more puts in one call. */
const PUT_BATCH = 25;

/**
 * The rows of `environments_v2` that repeat identity overrides for local evaluation (docs/flagsmith.md, "DynamoDB
 * tables, indexes, limits").
 */
export function createOverrideRows(connection: EdgeConnection, table: string): OverrideRows {
  const account = createCostAccount(connection.budget);
  const readItems = createBatchReader(connection, table);

  async function remove(key: OverrideRowKey, options: EdgeCallOptions = {}): Promise<void> {
    const command = new DeleteItemCommand({ TableName: table, Key: keyItem(key), ReturnConsumedCapacity: 'TOTAL' });
    await spend([keyItem(key)], options, async () => {
      const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
      return output.ConsumedCapacity === undefined ? [] : [output.ConsumedCapacity];
    });
  }

  async function putMany(rows: readonly Item[], options: EdgeCallOptions = {}): Promise<void> {
    for (let from = 0; from < rows.length; from += PUT_BATCH) {
      await putBatch(rows.slice(from, from + PUT_BATCH), options);
    }
  }

  async function putBatch(rows: readonly Item[], options: EdgeCallOptions): Promise<void> {
    let open: WriteRequest[] = rows.map((row) => ({ PutRequest: { Item: row } }));
    await connection.repeat(async () => {
      const command = new BatchWriteItemCommand({ RequestItems: { [table]: open }, ReturnConsumedCapacity: 'TOTAL' });
      const items = open.flatMap(({ PutRequest }) => (PutRequest?.Item === undefined ? [] : [PutRequest.Item]));
      await spend(items, options, async () => {
        const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
        open = output.UnprocessedItems?.[table] ?? [];
        return output.ConsumedCapacity;
      });
      if (open.length === 0) return;
      connection.budget.throttled(open.length);
      throw new EdgeThrottledError(`DynamoDB throttles table ${table} at ${connection.place(table).where}`);
    }, options.signal);
  }

  async function getMany(keys: readonly OverrideRowKey[], options: EdgeCallOptions = {}): Promise<Map<string, Item>> {
    const found = new Map<string, Item>();
    const wanted = [...new Map(keys.map((key) => [rowName(key), keyItem(key)])).values()];
    for await (const { items } of readItems(wanted, options)) {
      for (const row of items) found.set(rowName(keyOf(row)), row);
    }
    return found;
  }

  async function spend(
    items: readonly Item[],
    options: EdgeCallOptions,
    write: () => Promise<Parameters<typeof account.settle>[1]>,
  ): Promise<void> {
    const sizes = items.map(itemBytes);
    const taken = await account.take(sizes, options.signal);
    try {
      account.settle(taken, await write(), sizes);
    } catch (error) {
      account.refund(taken);
      throw error;
    }
  }

  return { delete: remove, putMany, getMany, listRows: createRowListing(connection, table) };
}

/** A row's key as one text, for maps. */
export function rowName({ environment_id, document_key }: OverrideRowKey): string {
  return `${environment_id} ${document_key}`;
}

/** The key within a row. */
export function keyOf(row: Item): OverrideRowKey {
  return { environment_id: row['environment_id']?.S ?? '', document_key: row['document_key']?.S ?? '' };
}

function keyItem({ environment_id, document_key }: OverrideRowKey): Item {
  return { environment_id: { S: environment_id }, document_key: { S: document_key } };
}
