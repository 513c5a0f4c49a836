import { BatchExecuteStatementCommand, type BatchStatementResponse } from '@aws-sdk/client-dynamodb';
import { itemBytes } from '../document/size.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import type { CostAccount } from './cost.ts';
import { readAnswer } from './errors.ts';
import { createStatements, type Statement } from './statements.ts';
import { type DocumentWrite, writtenItem } from './writes.ts';

/** One of several writes that are sent together. */
export interface SharedWrite extends Pick<EdgeCallOptions, 'deadline' | 'lost'> {
  readonly write: DocumentWrite;
  /** Once it is aborted this write must not be sent any more. */
  readonly signal: AbortSignal | undefined;
}

/**
 * The certain outcome of a write after the batch. `unclear`: it may or may not have been done, or was not tried; doing
 * it alone, which is also conditional, gives the answer.
 */
export type SharedResult = 'written' | 'changed' | 'unclear';

/**
 * Carries out conditional writes of different documents in one call, as PartiQL statements that succeed or fail
 * independently: twenty-five for the cost of one.
 *
 * Only explicit statements of DynamoDB are taken from the answer: that a statement was executed, or that the key of an
 * insert is taken. Everything else, including failed conditions and throttling, is `unclear`, so differences in how
 * servers compare values in PartiQL, or in the permissions that they require, can cost time but never an update.
 *
 * @returns a function from at most 25 writes to their results in the same order; it rejects only with the signal's
 *   reason
 */
export function createBatchWriter(connection: EdgeConnection, account: CostAccount, table: string, keyName: string) {
  const { describe } = createStatements(table, keyName);

  async function writeMany(
    writes: readonly SharedWrite[],
    options: EdgeCallOptions = {},
  ): Promise<readonly SharedResult[]> {
    const results = new Array<SharedResult>(writes.length).fill('unclear');
    const possible = writes.flatMap((shared, index) => {
      const statement = describe(shared.write);
      return statement === undefined ? [] : [{ ...shared, index, statement }];
    });
    // A single write is better done by the call that tells why it fails.
    if (possible.length < 2) return results;
    const sizes = possible.map(({ write }) => itemBytes(writtenItem(write)));
    const taken = await account.take(sizes, options.signal);
    const wanted = possible.filter(({ signal, deadline }) => !signal?.aborted && (deadline?.left() ?? 1) > 0);
    const statements = wanted.map(({ statement }) => statement);
    const replies = await send(statements, taken, { ...options, ...joinFences(wanted) });
    for (const [position, shared] of wanted.entries()) results[shared.index] = readReply(replies[position], shared);
    return results;
  }

  async function send(
    Statements: Statement[],
    taken: number,
    options: EdgeCallOptions,
  ): Promise<readonly BatchStatementResponse[]> {
    const command = new BatchExecuteStatementCommand({ Statements, ReturnConsumedCapacity: 'TOTAL' });
    try {
      const once = { ...options, once: true };
      const output = await connection.call(table, (client, handling) => client.send(command, handling), once);
      account.settle(taken, output.ConsumedCapacity, []);
      return output.Responses ?? [];
    } catch {
      options.signal?.throwIfAborted();
      account.refund(taken);
      return [];
    }
  }

  function readReply(reply: BatchStatementResponse | undefined, { write, lost }: SharedWrite): SharedResult {
    if (reply === undefined) return 'unclear';
    if (reply.Error === undefined) return 'written';
    const answer = readAnswer(reply.Error.Code ?? 'Unknown');
    if (answer === 'throttled') connection.budget.throttled();
    if (answer === 'failed') lost?.();
    return answer === 'duplicate' && write.kind === 'put' ? 'changed' : 'unclear';
  }

  return writeMany;
}

/** They are sent together, so the shortest deadline applies to all. */
function joinFences(
  writes: readonly Pick<SharedWrite, 'deadline' | 'lost'>[],
): Pick<EdgeCallOptions, 'deadline' | 'lost'> {
  return {
    deadline: {
      left: () =>
        writes.reduce((least, { deadline }) => Math.min(least, deadline?.left() ?? least), Number.POSITIVE_INFINITY),
    },
    lost() {
      for (const { lost } of writes) lost?.();
    },
  };
}
