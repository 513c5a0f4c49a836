/**
 * A DynamoDB global table for tests: one endpoint per region, with a DynamoDB Local behind them. README.md lists
 * what it does as AWS does, and what it does not.
 */
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { DYNAMODB_CLIENT, type DynamodbOptions, startDynamodb } from '../dynamodb.ts';
import { Endpoint } from './endpoint.ts';
import { EventualMode, type HistoryEntry } from './eventual.ts';
import type { Delay } from './replication.ts';
import { StrongMode } from './strong.ts';
import type { Consistency, Version } from './tables.ts';
import { openWay, type Way } from './way.ts';
import type { RegionalServer } from './wire.ts';

export { findLostWrites, type LostWrite } from './history.ts';
export { HELD } from './replication.ts';
export type { Way } from './way.ts';

export interface GlobalTableOptions {
  /** Two or more; with strong consistency three, or two and a witness. */
  readonly regions?: readonly string[];
  readonly consistency?: Consistency;
  /** Region of the witness, only with strong consistency. */
  readonly witness?: string;
  /** The legacy version adds its own attributes to the items, and appears only in `DescribeGlobalTable`. */
  readonly version?: Version;
  readonly clock?: Clock;
  /** Chooses delays: 0 to 1. */
  readonly random?: () => number;
  /** Java's heap limit in MB, for all regions. */
  readonly heapMb?: number;
  /** A running server with an access key of this table's own, instead of a DynamoDB Local that lives and dies with it. */
  readonly server?: RegionalServer;
  readonly signal?: AbortSignal;
}

/** Client configuration of a region, and its possible faults. */
export interface GlobalTableRegion {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: typeof DYNAMODB_CLIENT.credentials;
  /**
   * Cuts it off from the other regions. With eventual consistency clients notice nothing; with strong consistency its
   * writes and strongly consistent reads fail.
   */
  isolate(): void;
  /** Ends the isolation: writes held back arrive at once, if their delay has passed. */
  rejoin(): void;
  /** Clients' connections break, until `comeBack`; replication goes on. */
  goDark(): void;
  comeBack(): void;
  /** Another endpoint for some clients only; it ends with the table. */
  openWay(): Promise<Way>;
  /** The status of this replica in the other regions' `DescribeTable` from now on. */
  setStatus(status: string): void;
}

export interface GlobalTable extends AsyncDisposable {
  /** @throws Error when the table has no such region */
  region(name: string): GlobalTableRegion;
  /** Delay of replication with eventual consistency, of each write with strong consistency. Initially none. */
  setDelay(delay: Delay): void;
  /** Replicates all writes so far without delay, except to and from isolated regions. */
  settle(): Promise<void>;
  /** Number of writes on their way, counted per region. */
  readonly pending: number;
  /** Every client write that changed an item, with eventual consistency; for {@link findLostWrites}. */
  readonly history: readonly HistoryEntry[];
  /** @throws AggregateError of the internal failures, which clients saw as broken connections */
  stop(): Promise<void>;
}

/**
 * Starts a DynamoDB Local and the regions' endpoints. Every table created through one of them is a global table
 * with a replica in each region from the start.
 */
export async function startGlobalTable(options: GlobalTableOptions = {}): Promise<GlobalTable> {
  const { regions = ['eu-west-2', 'us-east-2'], consistency = 'EVENTUAL', version = '2019.11.21', witness } = options;
  checkRegions(regions, consistency, witness);
  if (consistency === 'STRONG' && version !== '2019.11.21')
    throw new Error('Only the current version has strong consistency');
  const { clock = systemClock, random = Math.random, heapMb = 256, signal } = options;
  await using started = new AsyncDisposableStack();
  const server = options.server ?? (await startServer(started, { heapMb, ...(signal && { signal }) }));
  const statuses = new Map<string, string>();
  const replicated = { consistency, version, regions, witness, statuses };
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => void failures.push(error);
  const mode = new (consistency === 'STRONG' ? StrongMode : EventualMode)({
    server,
    replicated,
    clock,
    random,
    onFailure,
  });
  const endpoints = await Promise.all(
    regions.map(
      async (name) => [name, await Endpoint.start((request) => mode.handle(name, request), onFailure)] as const,
    ),
  );
  const ways: { stop(): Promise<void> }[] = [];
  const handles = new Map(
    endpoints.map(([name, endpoint]): [string, GlobalTableRegion] => [
      name,
      {
        endpoint: endpoint.url,
        region: name,
        credentials: DYNAMODB_CLIENT.credentials,
        isolate: () => mode.isolate(name),
        rejoin: () => mode.rejoin(name),
        goDark: () => endpoint.goDark(),
        comeBack: () => endpoint.comeBack(),
        async openWay() {
          const way = await openWay((request) => mode.handle(name, request), onFailure);
          ways.push(way);
          return way;
        },
        setStatus: (status) => void statuses.set(name, status),
      },
    ]),
  );

  const stack = started.move();

  function throwFailures(): void {
    if (failures.length > 0) throw new AggregateError(failures, 'The global table for tests has failed');
  }

  async function stop(): Promise<void> {
    const failed = failures.length > 0;
    await Promise.all([...ways, ...endpoints.map(([, endpoint]) => endpoint)].map((each) => each.stop()));
    await mode.stop();
    await stack.disposeAsync();
    if (failed) throwFailures();
  }

  return {
    region(name) {
      const handle = handles.get(name);
      if (handle === undefined) throw new Error(`The global table has no region ${name}, only ${regions.join(', ')}`);
      return handle;
    },
    setDelay: (delay) => mode.setDelay(delay),
    async settle() {
      await mode.settle();
      throwFailures();
    },
    get pending() {
      return mode.pending;
    },
    history: mode.history,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function startServer(started: AsyncDisposableStack, options: DynamodbOptions): Promise<RegionalServer> {
  const { endpoint } = started.use(await startDynamodb({ regional: true, ...options }));
  return { endpoint, accessKeyId: DYNAMODB_CLIENT.credentials.accessKeyId };
}

function checkRegions(regions: readonly string[], consistency: Consistency, witness: string | undefined): void {
  if (new Set(regions).size !== regions.length || regions.length < 2)
    throw new Error('A global table has two regions or more');
  if (consistency === 'EVENTUAL' && witness !== undefined) throw new Error('Only strong consistency has a witness');
  if (consistency === 'STRONG' && regions.length + Number(witness !== undefined) !== 3) {
    throw new Error('Strong consistency takes three regions, or two and a witness');
  }
}
