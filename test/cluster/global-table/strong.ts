import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Request } from './endpoint.ts';
import type { HistoryEntry, Mode, ModeSettings } from './eventual.ts';
import { type Delay, delayAt } from './replication.ts';
import { findWrittenItem } from './statement-key.ts';
import { classify, describe, describeGlobally, type Replicated, refuseUnknown, statementsOf } from './tables.ts';
import { type Answer, type Item, RegionalDatabase, refusal } from './wire.ts';

const CONFLICT =
  'The request was rejected because one or more items in the request are being modified by a request in another Region.';
const TRANSACTIONS = new Set(['TransactWriteItems', 'TransactGetItems', 'ExecuteTransaction']);

/**
 * Multi-region strong consistency: one database, which every region sees. A write is under way from its arrival until
 * every region would have it (the delay); until then other regions' writes of the same item are refused.
 */
export class StrongMode implements Mode {
  readonly history: readonly HistoryEntry[] = [];
  readonly pending = 0;
  readonly #database: RegionalDatabase;
  readonly #replicated: Replicated;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #keys = new Map<string, readonly string[]>();
  /** Writes under way: item and writing region. */
  readonly #underWay = new Set<{ readonly item: string; readonly region: string }>();
  readonly #isolated = new Set<string>();
  readonly #stopped = new AbortController();
  #delay: Delay = { minMs: 0, maxMs: 0 };
  #changed = new AbortController();

  constructor({ server, replicated, clock, random }: ModeSettings) {
    this.#database = new RegionalDatabase(server, 'all');
    this.#replicated = replicated;
    this.#clock = clock;
    this.#random = random;
  }

  async handle(region: string, request: Request): Promise<Answer> {
    const kind = classify(request);
    if (kind === undefined) return refuseUnknown(request);
    if (TRANSACTIONS.has(request.operation)) return refuseFeature('transactions');
    if (kind === 'table') return this.#handleTable(region, request);
    if (this.#isolated.has(region) && (kind === 'write' || isStrong(request))) {
      return refusal(500, 'InternalServerError', `${region} cannot reach another Region`);
    }
    if (kind === 'read') return this.#database.send(request.target, request.text);
    return request.operation === 'BatchExecuteStatement'
      ? this.#writeStatements(region, request)
      : this.#write(region, request);
  }

  async #write(region: string, request: Request): Promise<Answer> {
    const items = this.#itemsOf(request);
    if (items.some((item) => this.#isConflict(item, region))) {
      return refusal(400, 'ReplicatedWriteConflictException', CONFLICT);
    }
    return this.#commit(items, region, request);
  }

  /** Each statement is refused separately, like every error of one statement. */
  async #writeStatements(region: string, request: Request): Promise<Answer> {
    const items = statementsOf(request.body).map((statement) => this.#itemOf(statement));
    const conflicts = items.map((item) => item !== undefined && this.#isConflict(item, region));
    const passed = statementsOf(request.body).filter((_, index) => !conflicts[index]);
    const passedItems = items.filter((item, index): item is string => item !== undefined && !conflicts[index]);
    const text = JSON.stringify({ ...request.body, Statements: passed });
    const { status, text: answered } =
      passed.length === 0
        ? { status: 200, text: '{"Responses":[]}' }
        : await this.#commit(passedItems, region, { ...request, text });
    if (status !== 200) return { status, text: answered };
    const output = JSON.parse(answered) as { Responses: object[] };
    const refused = { Error: { Code: 'ReplicatedWriteConflict', Message: CONFLICT } };
    const Responses = conflicts.map((isConflict) => (isConflict ? refused : output.Responses.shift()));
    return { status, text: JSON.stringify({ ...output, Responses }) };
  }

  async #commit(items: readonly string[], region: string, { target, text }: Request): Promise<Answer> {
    const entries = items.map((item) => ({ item, region }));
    for (const entry of entries) this.#underWay.add(entry);
    try {
      const answer = await this.#database.send(target, text);
      await this.#reachEveryRegion();
      return answer;
    } finally {
      for (const entry of entries) this.#underWay.delete(entry);
    }
  }

  /** Waits for the delay, even if it changes meanwhile. */
  async #reachEveryRegion(): Promise<void> {
    const start = this.#clock.monotonic();
    const place = this.#random();
    for (;;) {
      const due = start + delayAt(this.#delay, place);
      const changed = this.#changed.signal;
      const signal = AbortSignal.any([changed, this.#stopped.signal]);
      try {
        return await this.#clock.sleep(Math.max(0, due - this.#clock.monotonic()), signal);
      } catch (error) {
        if (!changed.aborted) throw error;
      }
    }
  }

  #isConflict(item: string, region: string): boolean {
    return [...this.#underWay].some((entry) => entry.item === item && entry.region !== region);
  }

  #itemsOf({ operation, body }: Request): string[] {
    if (operation === 'ExecuteStatement') return statementsOf(body).flatMap((each) => this.#itemOf(each) ?? []);
    if (operation !== 'BatchWriteItem') return [this.#name(body.TableName ?? '', body.Key ?? body.Item ?? {})];
    type Requests = { DeleteRequest?: { Key: Item }; PutRequest?: { Item: Item } }[];
    const tables = Object.entries((body.RequestItems ?? {}) as Record<string, Requests>);
    return tables.flatMap(([table, requests]) =>
      requests.map(({ DeleteRequest, PutRequest }) => this.#name(table, DeleteRequest?.Key ?? PutRequest?.Item ?? {})),
    );
  }

  #itemOf(statement: Parameters<typeof findWrittenItem>[0]): string | undefined {
    const written = findWrittenItem(statement, (table) => this.#keys.get(table) ?? []);
    return written && this.#name(written.table, written.key);
  }

  #name(table: string, attributes: Item): string {
    return JSON.stringify([table, ...(this.#keys.get(table) ?? []).map((name) => attributes[name])]);
  }

  async #handleTable(region: string, request: Request): Promise<Answer> {
    const { operation, target, text, body } = request;
    if (operation === 'DescribeGlobalTable') return describeGlobally(request, this.#replicated);
    if (operation === 'DescribeTable') {
      return describe(await this.#database.send(target, text), region, this.#replicated);
    }
    if (operation === 'CreateTable' && body.LocalSecondaryIndexes !== undefined) {
      return refuseFeature('local secondary indexes');
    }
    const answer = await this.#database.send(target, text);
    if (answer.status === 200 && operation === 'CreateTable') {
      this.#keys.set(body.TableName ?? '', (body.KeySchema ?? []).map(({ AttributeName }) => AttributeName).sort());
    }
    return answer;
  }

  setDelay(delay: Delay): void {
    this.#delay = delay;
    this.#changed.abort();
    this.#changed = new AbortController();
  }

  isolate(region: string): void {
    this.#isolated.add(region);
  }

  rejoin(region: string): void {
    this.#isolated.delete(region);
  }

  async settle(): Promise<void> {}

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#database.close();
  }
}

function isStrong({ body }: Request): boolean {
  type Reads = Record<string, { ConsistentRead?: boolean }>;
  const batches = Object.values((body.RequestItems ?? {}) as Reads);
  return [body, ...statementsOf(body), ...batches].some(({ ConsistentRead }) => ConsistentRead === true);
}

function refuseFeature(feature: string): Answer {
  return refusal(400, 'ValidationException', `Tables with multi-Region strong consistency do not support ${feature}`);
}
