import { BatchExecuteStatementCommand, type BatchStatementResponse } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import type { CostAccount } from './cost.ts';
import {
  EdgeConflictError,
  EdgeRefusedError,
  EdgeThrottledError,
  EdgeUnreachableError,
  readAnswer,
  WriteRejectedError,
} from './errors.ts';
import { createStatements } from './statements.ts';

/** The outcome of one item: stored, left alone because its key is taken, or never storable (DynamoDB's own words). */
export type InsertOutcome = 'inserted' | 'exists' | { readonly rejected: string };

/** An item and its size by DynamoDB's rules, such as an encoded document. */
export interface SizedItem {
  readonly item: Item;
  readonly bytes: number;
}

/** DynamoDB accepts no more statements in one call. */
export const INSERT_BATCH = 25;

/**
 * Inserts items where their key is absent, in one call of up to 25 PartiQL `INSERT`s: the only batch write of DynamoDB
 * that never overwrites. Statements succeed or fail independently.
 *
 * @param connection the connection to use
 * @param table the table's name
 * @returns a function from at most 25 items to their outcomes in the same order. It repeats throttled statements until
 *   the retry budget is spent, and splits a call that DynamoDB refuses as a whole, to find the item at fault.
 */
export function createInserter(connection: EdgeConnection, account: CostAccount, table: string) {
  const statements = createStatements(table, 'composite_key');

  async function insertMany(items: readonly SizedItem[], options: EdgeCallOptions = {}): Promise<InsertOutcome[]> {
    if (items.length > INSERT_BATCH) throw new RangeError(`at most ${INSERT_BATCH} items at once`);
    const outcomes = new Array<InsertOutcome>(items.length);
    let open = items.map((_, index) => index);

    async function insertOpen(): Promise<void> {
      const replies = await send(
        open.map((index) => items[index]!),
        options,
      );
      const again: number[] = [];
      let failure: Error | undefined;
      for (const [position, index] of open.entries()) {
        const outcome = readReply(replies[position]!);
        // A component on the way has stopped waiting for the one that carries it out.
        if (outcome instanceof EdgeUnreachableError) options.lost?.();
        if (outcome instanceof Error) {
          failure = outcome;
          again.push(index);
        } else outcomes[index] = outcome;
      }
      open = again;
      if (failure instanceof EdgeThrottledError) connection.budget.throttled(again.length);
      if (failure !== undefined) throw failure;
    }

    if (open.length > 0) await connection.repeat(insertOpen, options.signal);
    return outcomes;
  }

  /** One reply per item. */
  async function send(items: readonly SizedItem[], options: EdgeCallOptions): Promise<Reply[]> {
    const sizes = items.map(({ bytes }) => bytes);
    const taken = await account.take(sizes, options.signal);
    const command = new BatchExecuteStatementCommand({
      Statements: items.map(({ item }) => statements.insert(item)),
      ReturnConsumedCapacity: 'TOTAL',
    });
    try {
      const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
      const replies = output.Responses ?? [];
      const allWritten = replies.every((reply) => reply.Error === undefined);
      account.settle(taken, output.ConsumedCapacity, allWritten ? sizes : []);
      return items.map((_, index) => replies[index] ?? { Error: { Code: 'InternalServerError' } });
    } catch (error) {
      account.refund(taken);
      if (!(error instanceof WriteRejectedError)) throw error;
      if (items.length === 1) return [{ Error: { Code: 'ValidationError', Message: error.message } }];
      const middle = items.length >> 1;
      return [...(await send(items.slice(0, middle), options)), ...(await send(items.slice(middle), options))];
    }
  }

  function readReply({ Error: error }: Reply): InsertOutcome | Error {
    if (error === undefined) return 'inserted';
    const { where } = connection.place(table);
    const code = error.Code ?? 'Unknown';
    switch (readAnswer(code)) {
      case 'duplicate':
        return 'exists';
      case 'invalid':
        return { rejected: error.Message ?? code };
      case 'throttled':
        return new EdgeThrottledError(`DynamoDB throttles inserts into table ${table} at ${where}`);
      case 'conflict':
        return new EdgeConflictError(
          `Other regions write the same items of table ${table} at ${where}: try again later`,
        );
      case 'failed':
        return new EdgeUnreachableError(`DynamoDB at ${where} failed on inserts into table ${table}: ${code}`);
      case 'other':
        return new EdgeUnreachableError(
          `DynamoDB at ${where} answered inserts into table ${table} with ${code}, which is retried`,
        );
      default:
        return new EdgeRefusedError(
          `DynamoDB at ${where} refused inserts into table ${table} (${code}): the role needs dynamodb:PartiQLInsert on it`,
        );
    }
  }

  return insertMany;
}

type Reply = Pick<BatchStatementResponse, 'Error'>;
