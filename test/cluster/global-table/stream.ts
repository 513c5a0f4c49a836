import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Item, RegionalDatabase } from './wire.ts';

/** One item as a write left it; without an image it was deleted. */
export interface ItemChange {
  readonly table: string;
  readonly key: Item;
  readonly image: Item | undefined;
}

interface StreamRecord {
  readonly dynamodb: { readonly Keys: Item; readonly NewImage?: Item; readonly SequenceNumber: string };
}

const STREAMS = 'DynamoDBStreams_20120810';
/** An iterator is good for 15 minutes. */
const ITERATOR_AGE_MS = 300_000;
/** One answer has at most so many records and about 1 MB; one far below both limits has returned everything. */
const FULL_RECORDS = 1_000;
const FULL_LENGTH = 400_000;

/**
 * The changes in a table of one region since the last call. The stream is exact, whichever request made
 * the change, and omits requests that changed nothing, as AWS documents. DynamoDB Local has the records of a
 * write when it answers that write.
 */
export class TableStream {
  readonly #database: RegionalDatabase;
  readonly #table: string;
  readonly #clock: Clock;
  #last: string | undefined;
  #iterator: { readonly value: string; readonly since: number } | undefined;

  constructor(database: RegionalDatabase, table: string, clock: Clock) {
    this.#database = database;
    this.#table = table;
    this.#clock = clock;
  }

  /** The changes in the order in which they were made. */
  async read(): Promise<ItemChange[]> {
    const changes: ItemChange[] = [];
    for (let more = true; more; ) {
      const { records, full } = await this.#readPage();
      changes.push(
        ...records.map(({ dynamodb }) => ({ table: this.#table, key: dynamodb.Keys, image: dynamodb.NewImage })),
      );
      this.#last = records.at(-1)?.dynamodb.SequenceNumber ?? this.#last;
      more = full && records.length > 0;
    }
    return changes;
  }

  async #readPage(): Promise<{ records: readonly StreamRecord[]; full: boolean }> {
    const now = this.#clock.monotonic();
    if (this.#iterator === undefined || now - this.#iterator.since > ITERATOR_AGE_MS) {
      this.#iterator = { value: await this.#findIterator(), since: now };
    }
    const page = await this.#database.call<{ Records: StreamRecord[]; NextShardIterator?: string }>(
      'GetRecords',
      { ShardIterator: this.#iterator.value },
      STREAMS,
    );
    if (page.NextShardIterator === undefined) {
      throw new Error(
        `Global table: DynamoDB Local has closed the stream of ${this.#table}, which it does after hours`,
      );
    }
    this.#iterator = { value: page.NextShardIterator, since: now };
    const full = page.Records.length >= FULL_RECORDS || JSON.stringify(page.Records).length > FULL_LENGTH;
    return { records: page.Records, full };
  }

  async #findIterator(): Promise<string> {
    const { Table } = await this.#database.call<{ Table: { LatestStreamArn: string } }>('DescribeTable', {
      TableName: this.#table,
    });
    const StreamArn = Table.LatestStreamArn;
    const { StreamDescription } = await this.#database.call<{
      StreamDescription: { Shards: { ShardId: string }[] };
    }>('DescribeStream', { StreamArn }, STREAMS);
    const [shard, ...others] = StreamDescription.Shards;
    if (shard === undefined || others.length > 0) {
      throw new Error(
        `Global table: ${others.length + Number(shard !== undefined)} shards in the stream of ${this.#table}, not 1`,
      );
    }
    const from =
      this.#last === undefined
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: this.#last };
    const { ShardIterator } = await this.#database.call<{ ShardIterator: string }>(
      'GetShardIterator',
      { StreamArn, ShardId: shard.ShardId, ...from },
      STREAMS,
    );
    return ShardIterator;
  }
}
