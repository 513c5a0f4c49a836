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
import type { Violation } from './judgement.ts';
import type { Random } from './random.ts';

/** A global table of two regions that the soak makes slow, and takes apart for a minute. */
export interface SoakRegions extends AsyncDisposable {
  readonly home: DynamodbAccess;
  readonly other: DynamodbAccess;
  /** Of the product: what it has to know of how slow replication is. */
  readonly settings: Readonly<Record<string, string>>;
  /** Delays replication, and isolates the other region once, until the signal aborts; then all is as fast as it can be. */
  run(signal: AbortSignal): Promise<void>;
  /** What is left on its way arrives. */
  settle(): Promise<void>;
  /** Documents and rows that are not the same in both regions. */
  compare(tables: readonly string[]): Promise<Violation[]>;
  /** Of the writes that the later one of another region took the place of: which, and whether that is documented. */
  losses(table: string): RegionLosses;
}

interface RegionLosses {
  /** All of them, by composite key. */
  readonly byKey: ReadonlyMap<string, readonly LostWrite[]>;
  /** Those for which replication took longer than the regions were slow or apart. */
  readonly outside: readonly LostWrite[];
  readonly longestWindowSeconds: number;
}

const HOME = 'eu-west-2';
const OTHER = 'us-east-2';
/** Longest time from a write until the other region has it, while both can be reached. */
const DELAY_SECONDS = 20;
const APART_SECONDS = 60;
/** Shares of the load after which the regions are apart, and for which at most. */
const APART_AFTER = 0.5;
const APART_SHARE = 0.2;
/** What a machine that is busy is late with deliveries that are due. */
const LATE_MS = 10_000;

/** @param seconds of load */
export async function startRegions(
  { seconds, random, say }: { seconds: number; random: Random; say: (text: string) => void },
  clock: Clock = systemClock,
): Promise<SoakRegions> {
  const global: GlobalTable = await startGlobalTable({ regions: [HOME, OTHER], random: () => random.next() });
  const [home, other] = [global.region(HOME), global.region(OTHER)];
  const apartSeconds = Math.ceil(Math.min(APART_SECONDS, seconds * APART_SHARE));
  const apart: { from: number; until: number }[] = [];

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

  /** The delay of its own, and how much of it fell into the time in which the regions were apart. */
  function mayTake({ write }: LostWrite): number {
    const delayed = write.stamp + DELAY_SECONDS * 1000;
    const held = apart.filter(({ from, until }) => write.stamp < until && delayed > from);
    return Math.max(delayed, ...held.map(({ until }) => until)) - write.stamp + LATE_MS;
  }

  return {
    home,
    other,
    settings: { EDGE_MIGRATION_REPLICATION_LAG_SECONDS: String(DELAY_SECONDS + apartSeconds) },
    async run(signal) {
      global.setDelay({ minMs: 0, maxMs: DELAY_SECONDS * 1000 });
      const stopped = (error: unknown) => {
        if (!signal.aborted) throw error;
      };
      await stayApart(signal).catch(stopped);
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
      const byKey = Map.groupBy(lost, ({ write }) => keyOf(write.item));
      const outside = lost.filter((each) => each.windowMs > mayTake(each));
      const longest = lost.reduce((most, { windowMs }) => Math.max(most, windowMs), 0);
      return { byKey, outside, longestWindowSeconds: longest / 1000 };
    },
    [Symbol.asyncDispose]: () => global.stop(),
  };
}

/** From `["identities",["composite_key",{"S":"…"}]]`. */
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
