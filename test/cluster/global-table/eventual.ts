import type { Request } from './endpoint.ts';
import type { Write } from './replica.ts';
import { Replica } from './replica.ts';
import { type Delay, Replication, type ReplicationSettings } from './replication.ts';
import { classify, describe, describeGlobally, type Replicated, refuseUnknown } from './tables.ts';
import { type Answer, RegionalDatabase, type RegionalServer } from './wire.ts';

export interface ModeSettings extends ReplicationSettings {
  readonly server: RegionalServer;
  readonly replicated: Replicated;
}

/** The behaviour that depends on the consistency. */
export interface Mode {
  handle(region: string, request: Request): Promise<Answer>;
  setDelay(delay: Delay): void;
  isolate(region: string): void;
  rejoin(region: string): void;
  settle(): Promise<void>;
  readonly pending: number;
  readonly history: readonly HistoryEntry[];
  stop(): Promise<void>;
}

export interface HistoryEntry extends Pick<Write, 'region' | 'item' | 'stamp' | 'over'> {
  /** It came by a way of its own (way.ts). */
  readonly isByWay?: boolean;
}

/** The streams that replication reads, which AWS's tables of this kind also have. */
const STREAM = { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' };

/** Multi-region eventual consistency: one database per region, with replication between them. */
export class EventualMode implements Mode {
  readonly #replicas: ReadonlyMap<string, Replica>;
  readonly #replication: Replication;
  readonly #replicated: Replicated;
  readonly history: HistoryEntry[] = [];

  constructor({ server, replicated, clock, random, onFailure }: ModeSettings) {
    let last = 0;
    // At least microseconds apart, so that no two writes have the same time.
    const nextStamp = () => {
      last = Math.max(last + 0.001, clock.now());
      return last;
    };
    this.#replicas = new Map(
      replicated.regions.map((region) => [
        region,
        new Replica(region, new RegionalDatabase(server, region), {
          clock,
          nextStamp,
          isLegacy: replicated.version === '2017.11.29',
        }),
      ]),
    );
    this.#replication = new Replication([...this.#replicas.values()], { clock, random, onFailure });
    this.#replicated = replicated;
  }

  async handle(region: string, request: Request): Promise<Answer> {
    const replica = this.#replicas.get(region)!;
    switch (classify(request)) {
      case 'read':
        return replica.database.send(request.target, request.text);
      case 'write':
        return this.#write(replica, request);
      case 'table':
        return this.#handleTable(replica, request);
      default:
        return refuseUnknown(request);
    }
  }

  async #write(replica: Replica, { target, text, isAbandoned, isByWay }: Request): Promise<Answer> {
    const { answer, writes } = await replica.write(target, text, isAbandoned);
    for (const { region, item, stamp, over } of writes)
      this.history.push({ region, item, stamp, over, ...(isByWay && { isByWay }) });
    this.#replication.add(writes);
    return answer;
  }

  async #handleTable(replica: Replica, request: Request): Promise<Answer> {
    const { operation, target, text } = request;
    if (operation === 'DescribeGlobalTable') return describeGlobally(request, this.#replicated);
    if (operation === 'DescribeTable') {
      return describe(await replica.database.send(target, text), replica.region, this.#replicated);
    }
    const answer = await this.#changeTable(replica, request);
    if (answer.status !== 200) return answer;
    if (operation === 'DeleteTable') this.#replication.forget(request.body.TableName ?? '');
    for (const other of this.#replicas.values()) {
      if (other === replica) continue;
      const { status, text: refused } = await this.#changeTable(other, request);
      if (status !== 200) throw new Error(`Global table: ${operation} fails in ${other.region}: ${refused}`);
    }
    return answer;
  }

  #changeTable(replica: Replica, { operation, target, text, body }: Request): Promise<Answer> {
    const table = body.TableName ?? '';
    if (operation === 'DeleteTable') return replica.deleteTable(table, target, text);
    return replica.createTable(table, target, JSON.stringify({ ...body, StreamSpecification: STREAM }));
  }

  get pending(): number {
    return this.#replication.pending;
  }

  setDelay(delay: Delay): void {
    this.#replication.setDelay(delay);
  }

  isolate(region: string): void {
    this.#replication.isolate(region);
  }

  rejoin(region: string): void {
    this.#replication.rejoin(region);
  }

  settle(): Promise<void> {
    return this.#replication.settle();
  }

  async stop(): Promise<void> {
    await this.#replication.stop();
    for (const { database } of this.#replicas.values()) database.close();
  }
}
