import {
  type CancellationReason,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import { itemBytes } from '../document/size.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import type { CostAccount } from './cost.ts';
import type { WriteResult } from './documents.ts';
import { EdgeThrottledError, readAnswer, WriteRejectedError } from './errors.ts';
import { checkAfter, checkBefore, type DocumentWrite, describeWrite, writtenItem } from './writes.ts';

/** The required changes of a document's override rows. */
export interface RowChanges {
  readonly put: readonly Item[];
  /** Keys: `environment_id` and `document_key`. */
  readonly remove: readonly Item[];
}

/** DynamoDB accepts a hundred actions in a transaction; one is the document's. */
const ROWS = 99;

/**
 * Writes a document together with its override rows: both or neither, and only over the document as it was read, so
 * that with several concurrent writers the rows always match the last one.
 *
 * Rows beyond the limit of a transaction go into others that depend on the document: rows are removed while it still
 * has their overrides, and added once it has them. A process that finds it half done, after another was killed, sees in
 * the document what is left to do.
 */
export function createTransaction(connection: EdgeConnection, account: CostAccount, table: string, rowsTable: string) {
  async function commit(write: DocumentWrite, rows: RowChanges, options: EdgeCallOptions = {}): Promise<WriteResult> {
    const remove = rows.remove.map((Key): TransactWriteItem => ({ Delete: { TableName: rowsTable, Key } }));
    const put = rows.put.map((Item): TransactWriteItem => ({ Put: { TableName: rowsTable, Item } }));
    const before = chunk(remove);
    const last = before.pop() ?? [];
    const together = [...last, ...put.splice(0, ROWS - last.length)];
    const parts: [DocumentWrite, TransactWriteItem[]][] = [
      ...before.map((part): [DocumentWrite, TransactWriteItem[]] => [checkBefore(write), part]),
      [write, together],
      ...chunk(put).map((part): [DocumentWrite, TransactWriteItem[]] => [checkAfter(write), part]),
    ];
    for (const [document, part] of parts) {
      const result = await send(document, part, options);
      if (result !== 'written') return result;
    }
    return 'written';
  }

  async function send(
    write: DocumentWrite,
    actions: TransactWriteItem[],
    options: EdgeCallOptions,
  ): Promise<WriteResult> {
    // A transaction costs twice as much as its writes alone.
    const sizes = [writtenItem(write), ...actions.map(({ Put }) => Put?.Item ?? {})].map(itemBytes);
    const taken = await account.take([...sizes, ...sizes], options.signal);
    const command = new TransactWriteItemsCommand({
      TransactItems: [documentAction(table, write), ...actions],
      ReturnConsumedCapacity: 'TOTAL',
    });
    try {
      return await connection.call(
        table,
        async (client, handling) => {
          try {
            const { ConsumedCapacity } = await client.send(command, handling);
            account.settle(taken, ConsumedCapacity, []);
            return 'written';
          } catch (error) {
            if (!(error instanceof TransactionCanceledException)) throw error;
            return judge(error, error.CancellationReasons ?? [], connection.place(table).where);
          }
        },
        options,
      );
    } catch (error) {
      account.refund(taken);
      throw error;
    }
  }

  function judge(error: Error, reasons: readonly CancellationReason[], where: string): WriteResult {
    const [document] = reasons;
    if (document?.Code === 'ConditionalCheckFailed') return { changed: document.Item };
    const failed = reasons.find(({ Code }) => Code !== undefined && Code !== 'None');
    if (failed?.Code !== undefined && readAnswer(failed.Code) === 'invalid') {
      throw new WriteRejectedError(failed.Message ?? failed.Code, { cause: error });
    }
    const message = `DynamoDB cancelled a transaction on tables ${table} and ${rowsTable} at ${where} (${failed?.Code})`;
    throw new EdgeThrottledError(message, { cause: error });
  }

  return commit;
}

function documentAction(table: string, write: DocumentWrite): TransactWriteItem {
  const described = describeWrite(table, 'composite_key', write);
  const reporting = { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const;
  switch (described.kind) {
    case 'put':
      return { Put: { ...described.input, ...reporting } };
    case 'update':
      return { Update: { ...described.input, ...reporting } };
    case 'delete':
      return { Delete: { ...described.input, ...reporting } };
    case 'check':
      return { ConditionCheck: { ...described.input, ...reporting } };
  }
}

function chunk<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / ROWS) }, (_, index) =>
    items.slice(index * ROWS, (index + 1) * ROWS),
  );
}
