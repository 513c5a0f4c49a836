import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type ItemChange, TableStream } from './stream.ts';
import { type Answer, type Item, type RegionalDatabase, refusal } from './wire.ts';

/** A write of a client that changed an item, as one region accepted it. */
export interface Write extends ItemChange {
  readonly region: string;
  /** Table and key as one string. */
  readonly item: string;
  /** When it was made: milliseconds since the epoch, on one clock for all regions, no two equal. */
  readonly stamp: number;
  /** The stamp of the item's previous state in this region, deleted or not; undefined if there was none. */
  readonly over: number | undefined;
}

export interface ReplicaSettings {
  readonly clock: Clock;
  /** The time of a write, later than that of every earlier write. */
  readonly nextStamp: () => number;
  /** Whether items get the attributes that the legacy version of global tables adds. */
  readonly isLegacy: boolean;
}

/** DynamoDB's limit for one call. */
const BATCH = 25;

/** One region's copy of the tables. Writes by clients and by replication take turns; reads do not wait. */
export class Replica {
  readonly region: string;
  readonly database: RegionalDatabase;
  readonly #clock: Clock;
  readonly #nextStamp: () => number;
  readonly #streams = new Map<string, TableStream>();
  /** Every item that was ever written, including deleted ones. */
  readonly #stamps = new Map<string, number>();
  readonly #isLegacy: boolean;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(region: string, database: RegionalDatabase, { clock, nextStamp, isLegacy }: ReplicaSettings) {
    this.region = region;
    this.database = database;
    this.#clock = clock;
    this.#nextStamp = nextStamp;
    this.#isLegacy = isLegacy;
  }

  /** @returns DynamoDB's answer to this request, which creates the table with a stream */
  createTable(table: string, target: string, body: string): Promise<Answer> {
    return this.#inTurn(async () => {
      const answer = await this.database.send(target, body);
      if (answer.status === 200) this.#streams.set(table, new TableStream(this.database, table, this.#clock));
      return answer;
    });
  }

  /** Deletes the table and the history of its items; other regions' pending writes to it no longer arrive. */
  deleteTable(table: string, target: string, body: string): Promise<Answer> {
    return this.#inTurn(async () => {
      const answer = await this.database.send(target, body);
      if (answer.status !== 200) return answer;
      this.#streams.delete(table);
      for (const item of this.#stamps.keys()) if (isOfTable(item, table)) this.#stamps.delete(item);
      return answer;
    });
  }

  /**
   * Executes any request of a client, and returns its changes. A request whose client has hung up before its turn is
   * skipped: retries would otherwise make the queue longer than any client waits.
   */
  write(
    target: string,
    body: string,
    isAbandoned: () => boolean = () => false,
  ): Promise<{ answer: Answer; writes: Write[] }> {
    return this.#inTurn(async () => {
      if (isAbandoned()) return { answer: refusal(500, 'InternalServerError', 'The client has hung up'), writes: [] };
      const answer = await this.database.send(target, body);
      // Nearly always the request's own tables; a superfluous one costs an empty call.
      const tables = [...this.#streams.keys()].filter((table) => body.includes(table));
      const changes = (await Promise.all(tables.map((table) => this.#readStream(table)))).flat();
      const writes = changes.map((change) => this.#accept(change));
      if (this.#isLegacy) await this.#storeAll(writes.filter(({ image }) => image !== undefined));
      return { answer, writes };
    });
  }

  /** Stores those writes of other regions that are later than the items' state here. */
  apply(writes: readonly Write[]): Promise<void> {
    return this.#inTurn(async () => {
      const latest = new Map<string, Write>();
      for (const write of writes) {
        const stamp = latest.get(write.item)?.stamp ?? this.#stamps.get(write.item) ?? Number.NEGATIVE_INFINITY;
        if (write.stamp > stamp && this.#streams.has(write.table)) latest.set(write.item, write);
      }
      await this.#storeAll([...latest.values()]);
    });
  }

  /** Resolves when all requests so far are done. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  #accept(change: ItemChange): Write {
    const item = nameItem(change.table, change.key);
    const stamp = this.#nextStamp();
    const over = this.#stamps.get(item);
    this.#stamps.set(item, stamp);
    const image = change.image && this.#isLegacy ? { ...change.image, ...this.#legacyAttributes(stamp) } : change.image;
    return { ...change, image, region: this.region, item, over, stamp };
  }

  #legacyAttributes(stamp: number): Item {
    return {
      'aws:rep:deleting': { BOOL: false },
      'aws:rep:updatetime': { N: (stamp / 1000).toFixed(6) },
      'aws:rep:updateregion': { S: this.region },
    };
  }

  /** An item with several of these writes has to be stored as the last of them has it. */
  async #storeAll(writes: readonly Write[]): Promise<void> {
    const latest = [...new Map(writes.map((write) => [write.item, write])).values()];
    for (let at = 0; at < latest.length; at += BATCH) await this.#store(latest.slice(at, at + BATCH));
  }

  async #store(writes: readonly Write[]): Promise<void> {
    const RequestItems: Record<string, object[]> = {};
    for (const { table, key, image } of writes) {
      RequestItems[table] ??= [];
      RequestItems[table].push(image === undefined ? { DeleteRequest: { Key: key } } : { PutRequest: { Item: image } });
    }
    const { UnprocessedItems } = await this.database.call<{ UnprocessedItems: object }>('BatchWriteItem', {
      RequestItems,
    });
    if (Object.keys(UnprocessedItems).length > 0)
      throw new Error('Global table: DynamoDB Local left out replicated writes');
    for (const { item, stamp } of writes) this.#stamps.set(item, stamp);
    // These are not client writes.
    await Promise.all(Object.keys(RequestItems).map((table) => this.#readStream(table)));
  }

  async #readStream(table: string): Promise<ItemChange[]> {
    return (await this.#streams.get(table)?.read()) ?? [];
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

const isOfTable = (item: string, table: string) => item.startsWith(`[${JSON.stringify(table)},`);

function nameItem(table: string, key: Item): string {
  return JSON.stringify([table, ...Object.entries(key).sort(([one], [other]) => (one < other ? -1 : 1))]);
}
