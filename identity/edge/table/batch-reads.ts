import { BatchGetItemCommand } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import { EdgeThrottledError, ResponseTooLargeError } from './errors.ts';

/** DynamoDB accepts no more keys in one call. */
export const GET_BATCH = 100;
/**
 * Bytes of one answer. DynamoDB's own limit is 16 MB, which grow many times larger once parsed, and several calls run
 * at the same time. A single item may be larger.
 */
const MAX_ANSWER_BYTES = 2 ** 20;
/** After an answer below this share of the limit the next call asks for more. */
const ROOMY = 0.4;
/** DynamoDB charges a read unit for this many bytes of a consistent read. */
const BYTES_PER_UNIT = 4096;

/** One answer. */
interface ItemPart {
  readonly items: readonly Item[];
  /** Size as received over the network. */
  readonly bytes: number;
}

/** Reads items by key, consistently, part by part; those that do not exist are left out. */
export type ReadItems = (keys: readonly Item[], options: EdgeCallOptions) => AsyncGenerator<ItemPart>;

/**
 * The number of keys per call follows from the size of the answers: an answer announced as too large is not read, but
 * requested again in smaller parts. The whole cost is charged to the read budget, if there is one.
 */
export function createBatchReader(connection: EdgeConnection, table: string): ReadItems {
  let most = GET_BATCH;

  async function read(keys: Item[], options: EdgeCallOptions) {
    const budget = connection.readBudget;
    await budget?.take(keys.length, options.signal);
    const command = new BatchGetItemCommand({
      RequestItems: { [table]: { Keys: keys, ConsistentRead: true } },
      ...(budget === undefined ? {} : { ReturnConsumedCapacity: 'TOTAL' }),
    });
    let bytes = 0;
    function admit(size: number): boolean {
      bytes = size;
      return size <= MAX_ANSWER_BYTES || keys.length === 1;
    }
    try {
      const output = await connection.call(
        table,
        (client, handling) => client.send(command, { ...handling, admit } as typeof handling),
        options,
      );
      const units = output.ConsumedCapacity?.[0]?.CapacityUnits;
      if (units) budget?.settle(keys.length, units);
      if (bytes < ROOMY * MAX_ANSWER_BYTES && keys.length === most) most = Math.min(2 * most, GET_BATCH);
      return { output, bytes };
    } catch (error) {
      if (!(error instanceof ResponseTooLargeError)) throw error;
      budget?.settle(keys.length, Math.ceil(bytes / BYTES_PER_UNIT));
      most = Math.max(1, Math.min(most, Math.floor((keys.length * MAX_ANSWER_BYTES) / (2 * bytes))));
      return undefined;
    }
  }

  /** Reads some of the open keys and returns those still open; undefined: so many at once are too large. */
  async function readSome(open: Item[], options: EdgeCallOptions) {
    const batch = open.slice(0, most);
    const answer = await read(batch, options);
    if (answer === undefined) return undefined;
    const { output, bytes } = answer;
    const unprocessed = output.UnprocessedKeys?.[table]?.Keys ?? [];
    // A large answer comes in parts; only an empty part means that we are too fast.
    if (unprocessed.length === batch.length) {
      throw new EdgeThrottledError(`DynamoDB throttles reads of table ${table} at ${connection.place(table).where}`);
    }
    return { items: output.Responses?.[table] ?? [], bytes, left: [...unprocessed, ...open.slice(batch.length)] };
  }

  return async function* readItems(keys, options) {
    let open = [...keys];
    while (open.length > 0) {
      const part = await connection.repeat(() => readSome(open, options), options.signal);
      if (part === undefined) continue;
      open = part.left;
      if (part.items.length > 0) yield part;
    }
  };
}
