import { once } from 'node:events';
import { type AttributeValue, DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import {
  findLostWrites,
  type GlobalTable,
  type LostWrite,
  startGlobalTable,
} from '../../cluster/global-table/global-table.ts';
import { canonicalText } from '../../core/canonical.ts';
import type { DynamodbAccess } from '../../edge/tables.ts';
import type { Fault } from './faults/faults.ts';
import { createHomeFaults, createWays } from './faults/home.ts';
import type { Violation } from './judgement.ts';
import type { Random } from './random.ts';

/** A global table of two regions that the soak slows down, and separates for a minute. */
export interface SoakRegions extends AsyncDisposable {
  readonly home: DynamodbAccess;
  readonly other: DynamodbAccess;
  /** The product's own endpoint of the home region. */
  readonly endpoint: string;
  /** The product's settings about the lag of replication, and where it may continue. */
  readonly settings: Readonly<Record<string, string>>;
  /** Faults of the scene `home`. */
  readonly faults: readonly Fault[];
  /** Number of the product's requests that wrote in the other region. */
  readonly writtenElsewhere: number;
  /**
   * Delays replication, isolates the other region once, and, in the scene `home`, keeps the product from the home region
   * meanwhile, until the signal aborts; then everything is as fast as possible.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Delivers everything still under way. */
  settle(): Promise<void>;
  /** Documents and rows that are not the same in both regions. */
  compare(tables: readonly string[]): Promise<Violation[]>;
  /** The writes replaced by a later one of another region, and whether that is documented. */
  losses(table: string): RegionLosses;
}

interface RegionLosses {
  readonly all: readonly LostWrite[];
  /** Those of Edge clients, by composite key: the product's are repeated, and excuse nothing. */
  readonly ofClients: ReadonlyMap<string, readonly LostWrite[]>;
  /** Losses for which replication took longer than the regions were slow or apart. */
  readonly outside: readonly LostWrite[];
  readonly longestWindowSeconds: number;
}

const HOME = 'eu-west-2';
const OTHER = 'us-east-2';
/** Longest time from a write until the other region has it, while both can be reached. */
const DELAY_SECONDS = 20;
const APART_SECONDS = 60;
/** Share of the load after which the regions are apart, and maximum share of that time. */
const APART_AFTER = 0.5;
const APART_SHARE = 0.2;
/** Shares of the load between which the home region is dark: it has answered for a while when the regions meet again. */
const DARK_AFTER = 0.45;
const DARK_SHARE = 0.2;
/** The product leaves a dark home region, and returns to it, within the faults. */
const FAILOVER_AFTER_SECONDS = 8;
const FAILOVER_RETURN_SECONDS = 5;
/** Delay of due deliveries on a busy machine. */
const LATE_MS = 10_000;

interface RegionsOptions {
  /** Seconds of load. */
  readonly seconds: number;
  readonly random: Random;
  readonly say: (text: string) => void;
  /** The scene `home`: the product continues in the other region while it cannot reach the home region. */
  readonly hasFailover: boolean;
}

export async function startRegions(
  { seconds, random, say, hasFailover }: RegionsOptions,
  clock: Clock = systemClock,
): Promise<SoakRegions> {
  const global: GlobalTable = await startGlobalTable({ regions: [HOME, OTHER], random: () => random.next() });
  const [home, other] = [global.region(HOME), global.region(OTHER)];
  const apartSeconds = Math.ceil(Math.min(APART_SECONDS, seconds * APART_SHARE));
  const apart: { from: number; until: number }[] = [];
  const ways = createWays(await home.openWay(), await other.openWay());

  async function stayApart(signal: AbortSignal): Promise<void> {
    await clock.sleep(seconds * APART_AFTER * 1000, signal);
    const from = clock.now();
    other.isolate();
    say('the regions are apart');
    try {
      await clock.sleep(apartSeconds * 1000, signal);
    } finally {
      other.rejoin();
      apart.push({ from, until: clock.now() });
      say('the regions are together again');
    }
  }

  async function stayDark(signal: AbortSignal): Promise<void> {
    if (!hasFailover) return;
    await clock.sleep(seconds * DARK_AFTER * 1000, signal);
    say('the home region is dark');
    await ways.inTheDark(() => clock.sleep(seconds * DARK_SHARE * 1000, signal));
    say('the home region answers again');
  }

  /** The delay of its own, and how much of it fell into the time in which the regions were apart. */
  function mayTake({ write }: LostWrite): number {
    const delayed = write.stamp + DELAY_SECONDS * 1000;
    const held = apart.filter(({ from, until }) => write.stamp < until && delayed > from);
    return Math.max(delayed, ...held.map(({ until }) => until)) - write.stamp + LATE_MS;
  }

  return {
    home,
    other,
    endpoint: ways.home.endpoint,
    settings: {
      // When the other region is checked, they may be apart for longer.
      EDGE_MIGRATION_REPLICATION_LAG_SECONDS: String(DELAY_SECONDS + (hasFailover ? 0 : apartSeconds)),
      ...(hasFailover && {
        EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS: OTHER,
        EDGE_MIGRATION_DYNAMODB_REGION_ENDPOINTS: `${OTHER}=${ways.other.endpoint}`,
        EDGE_MIGRATION_FAILOVER_AFTER_SECONDS: String(FAILOVER_AFTER_SECONDS),
        EDGE_MIGRATION_FAILOVER_RETURN_SECONDS: String(FAILOVER_RETURN_SECONDS),
      }),
    },
    faults: hasFailover ? createHomeFaults(ways) : [],
    get writtenElsewhere() {
      return ways.other.writes;
    },
    async run(signal) {
      global.setDelay({ minMs: 0, maxMs: DELAY_SECONDS * 1000 });
      const stopped = (error: unknown) => {
        if (!signal.aborted) throw error;
      };
      await Promise.all([stayApart(signal).catch(stopped), stayDark(signal).catch(stopped)]);
      if (!signal.aborted) await once(signal, 'abort');
      global.setDelay({ minMs: 0, maxMs: 500 });
    },
    settle: () => global.settle(),
    async compare(tables) {
      const violations: Violation[] = [];
      for (const table of tables) {
        const [near, far] = await Promise.all([home, other].map((region) => scan(region, table)));
        for (const key of new Set([...near!.keys(), ...far!.keys()])) {
          if (near!.get(key) === far!.get(key)) continue;
          const detail = far!.has(key) ? (near!.has(key) ? 'another item' : `in ${OTHER} only`) : `in ${HOME} only`;
          violations.push({ kind: 'regions differ', key, detail: `${table}: ${detail}` });
        }
      }
      return violations;
    },
    losses(table) {
      const prefix = `[${JSON.stringify(table)},`;
      const lost = findLostWrites(global.history).filter(({ write }) => write.item.startsWith(prefix));
      const outside = lost.filter((each) => each.windowMs > mayTake(each));
      const longest = lost.reduce((most, { windowMs }) => Math.max(most, windowMs), 0);
      return { all: lost, ofClients: findLossesOfClients(lost), outside, longestWindowSeconds: longest / 1000 };
    },
    [Symbol.asyncDispose]: () => global.stop(),
  };
}

/** By composite key. The product has ways of its own into the regions, and Edge clients have not. */
export function findLossesOfClients(lost: readonly LostWrite[]): ReadonlyMap<string, readonly LostWrite[]> {
  const ofClients = lost.filter(({ write }) => !write.isByWay);
  return Map.groupBy(ofClients, ({ write }) => keyOf(write.item));
}

/** Extracts the key from `["identities",["composite_key",{"S":"…"}]]`. */
function keyOf(item: string): string {
  const [, [, value]] = JSON.parse(item) as [string, [string, AttributeValue]];
  return value.S ?? '';
}

async function scan({ endpoint, region, credentials }: DynamodbAccess, table: string): Promise<Map<string, string>> {
  const client = new DynamoDBClient({ endpoint, region, credentials });
  const items = new Map<string, string>();
  let from: Record<string, AttributeValue> | undefined;
  try {
    do {
      const command = new ScanCommand({
        TableName: table,
        ExclusiveStartKey: from,
        ConsistentRead: true,
        Limit: 1_000,
      });
      const page = await client.send(command);
      for (const item of page.Items ?? []) {
        const { composite_key, environment_id, document_key } = item;
        const key = composite_key?.S ?? `${environment_id?.S} ${document_key?.S}`;
        items.set(key, canonicalText({ M: item }));
      }
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  } finally {
    client.destroy();
  }
  return items;
}
