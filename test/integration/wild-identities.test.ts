/** A complete migration of identities as wild as Core's columns allow, with the real workers and a real applier. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness } from './applier/harness.ts';
import { runWorker, type Summary, startWorker, type WorkerStores } from './standalone-worker.ts';
import { changeCore } from './wild-identities/changes.ts';
import { AS_IT_MUST_BE, EDGE_TRAIT, hasEdgeTrait, judge } from './wild-identities/judgement.ts';
import { insertPopulation, KEYS, type Population, PROJECTS, STRANGER_KEY } from './wild-identities/population.ts';

/** A longer trial, with every collation: `WILD_IDENTITIES=20000 npx vitest run test/integration/wild-identities.test.ts`. */
const IDENTITIES = Number(process.env['WILD_IDENTITIES'] ?? 150);
const IS_LONG = process.env['WILD_IDENTITIES'] !== undefined;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MOST_RSS_MB = 250;
/** As in the chart's appliers, with room for memory outside the heap. */
const APPLIER_FLAGS = '--max-semi-space-size=32 --max-old-space-size=256';
const EDGE_BORN = 5;
const MINUTES = 60_000;

const COLLATIONS = Object.entries({
  'no case': 'ignoring_case',
  bytes: '"C"',
  'a language': '"en-x-icu"',
});
const TRIED = IS_LONG ? COLLATIONS : COLLATIONS.slice(0, 1);

describe.each(TRIED)('where identifiers are compared by %s', (_, collation) => {
  const role = `wild_${randomBytes(4).toString('hex')}`;
  const peaks: Record<string, number> = {};
  let on: Harness;
  let stores: WorkerStores;
  let population: Population;
  let foreign: Map<string, Awaited<ReturnType<typeof scan>>[number]>;

  const scan = () => on.tables.scan();

  beforeAll(async () => {
    on = await createHarness();
    await on.core(
      `CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      `ALTER TABLE environments_identity ALTER identifier TYPE varchar(2000) COLLATE ${collation}`,
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'`,
      `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
      `CREATE POLICY half ON environments_identity USING (id % 2 = 0)`,
    );
    population = await insertPopulation(on.databaseUrl, Math.ceil(IDENTITIES / TRIED.length), SEED);
    await putForeignDocuments();
    const url = Object.assign(new URL(on.databaseUrl), { username: role, password: 'x' });
    const { identitiesTable, environmentsV2Table } = on.tables.settings;
    stores = { databaseUrl: url.href, dynamodbEndpoint: on.dynamodbEndpoint, identitiesTable, environmentsV2Table };
    process.stderr.write(`${population.identities} identities, seed ${SEED}, collation ${collation}\n`);
  });
  afterAll(async () => {
    await on.core(`DROP OWNED BY ${role}`, `DROP ROLE ${role}`);
    await on[Symbol.asyncDispose]();
  });

  /** Foreign documents under our keys, and documents created on Edge, some with Core's names in another case. */
  async function putForeignDocuments(): Promise<void> {
    for (const identifier of population.strangers) {
      await on.putInEdge(STRANGER_KEY, identifier.slice('c_'.length), { own: 'kept' }, 50);
    }
    for (let index = 0; index < EDGE_BORN; index++) {
      await on.putInEdge(KEYS[4]!, `edge-only-${index}`, { own: 'kept' });
      await on.putInEdge(KEYS[4]!, `SMALL-${index}`, { own: 'kept' });
    }
    foreign = new Map((await scan()).map((item) => [item['composite_key']!.S!, item]));
  }

  /** Runs a worker for both projects at the same time, so that they collide at their shared keys. */
  async function run(what: string, worker: 'copy' | 'verify', ...args: string[]): Promise<Sums> {
    const summaries = await Promise.all(PROJECTS.map((id) => runWorker(worker, id, stores, args)));
    peaks[what] = Math.max(...summaries.map(({ rssMb }) => rssMb));
    return sum(summaries);
  }

  /** Additions by Edge's own clients to some documents. */
  async function writeOnEdge(): Promise<Set<string>> {
    const { credentials } = await dynamodb();
    const edge = openEdge(on.tables.settings, { credentials });
    const written = new Set<string>();
    for (const item of (await scan()).filter(({ environment_api_key: key }) => key?.S === KEYS[4]).slice(0, 20)) {
      const key = item['composite_key']!.S!;
      if (foreign.has(key)) continue;
      const trait = { M: { trait_key: { S: EDGE_TRAIT }, trait_value: { S: 'x' } } };
      const traits = { L: [...item['identity_traits']!.L!, trait] };
      await edge.identities.putIfUnchanged({ ...item, identity_traits: traits }, item);
      written.add(key);
    }
    edge.close();
    return written;
  }

  test('a copy by a user from whom row-level security hides rows is refused and writes nothing', async () => {
    await on.core('ALTER TABLE environments_identity ENABLE ROW LEVEL SECURITY');
    const { exit, stderr } = await startWorker('copy', 1, stores);
    expect(exit).not.toBe(0);
    expect(stderr).toMatch(/row-level security/);
    expect((await scan()).length).toBe(foreign.size);
    await on.core('ALTER TABLE environments_identity DISABLE ROW LEVEL SECURITY');
  });

  test('every identity is copied or listed, and none of another owner is touched', {
    timeout: 30 * MINUTES,
  }, async () => {
    const plan = await run('plan', 'copy', '--plan');
    const copied = await run('copy', 'copy');
    expect(copied['read']).toBe(population.identities);
    expect(plan['read']).toBe(population.identities);
    expect(copied.skippedByReason['KeyTakenByAnother']).toBe(population.pairs + population.strangers.length);
    expect(await judge({ databaseUrl: on.databaseUrl, items: await scan(), foreign })).toEqual(AS_IT_MUST_BE);
    const verified = await run('verify', 'verify');
    expect(verified).toMatchObject({ missing: 0, differing: 0, extra: 0, identities: population.identities });
  });

  test('writes of the window reach Edge, even when row-level security hides rows for a while', {
    timeout: 30 * MINUTES,
  }, async () => {
    const before = await scan();
    const replayedOver = new Map(before.map((item) => [item['composite_key']!.S!, item]));
    const written = await writeOnEdge();
    for (const id of PROJECTS) await on.migrate(id);
    const applier = await on.spawn('applier', {
      EDGE_MIGRATION_DATABASE_URL: stores.databaseUrl,
      EDGE_MIGRATION_ENVIRONMENTS_V2_TABLE: stores.environmentsV2Table!,
      NODE_OPTIONS: APPLIER_FLAGS,
    });
    await on.core('ALTER TABLE environments_identity ENABLE ROW LEVEL SECURITY');
    const events = await changeCore(on.databaseUrl);
    await publishTwice(events);
    await waitFor(async () => (await applier.tail()).includes('row-level security'), {
      for: 'the applier to say that it cannot see all rows',
      timeoutMs: 3 * MINUTES,
    });
    expect((await scan()).length).toBe(before.length);
    await on.core(`ALTER ROLE ${role} BYPASSRLS`);
    await on.drained(20 * MINUTES);
    peaks['applier'] = await peakOf(applier.pid);
    await applier.stop();
    // Listed until Core corrects them.
    expect(Object.keys(await on.parked()).filter((subject) => !subject.includes('.unstorable.'))).toEqual([]);

    const replayed = await scan();
    const { freed, ...rest } = await judge({ databaseUrl: on.databaseUrl, items: replayed, foreign, replayedOver });
    // If the identity with a shared key is deleted, the other one is listed until it is compared.
    expect({ ...rest, freed: [] }).toEqual(AS_IT_MUST_BE);
    const left = replayed.filter((item) => written.has(item['composite_key']!.S!));
    expect(left.length).toBeGreaterThan(0);
    expect(left.filter((item) => !hasEdgeTrait(item))).toEqual([]);

    await run('repair', 'verify', '--repair');
    const repaired = await judge({ databaseUrl: on.databaseUrl, items: await scan(), foreign, replayedOver });
    expect(repaired).toEqual(AS_IT_MUST_BE);
  });

  test('a second copy and a second repair write nothing, and no worker exceeds its memory limit', {
    timeout: 30 * MINUTES,
  }, async () => {
    const before = await scan();
    expect(await run('second copy', 'copy')).toMatchObject({ inserted: 0, writeUnits: 0 });
    const verified = await run('second repair', 'verify', '--repair');
    expect(verified).toMatchObject({ missing: 0, differing: 0, extra: 0, repairs: 0, writeUnits: 0 });
    expect(new Set((await scan()).map((item) => JSON.stringify(item)))).toEqual(
      new Set(before.map((item) => JSON.stringify(item))),
    );
    process.stderr.write(`peak memory in MB: ${JSON.stringify(peaks)}\n`);
    const { applier, ...workers } = peaks;
    expect(Math.max(...Object.values(workers))).toBeLessThan(MOST_RSS_MB);
    expect(applier).toBeLessThan(2 * MOST_RSS_MB);
  });

  /** In a separate order, each twice, as after a lost acknowledgement. */
  async function publishTwice(events: readonly WriteEvent[]): Promise<void> {
    const again = events.map((event) => ({ ...event, id: `${event.id}-again` }));
    const all = [...events, ...again].toSorted((one, other) => (one.id.slice(9) < other.id.slice(9) ? -1 : 1));
    for (let start = 0; start < all.length; start += 500) await on.publish(...all.slice(start, start + 500));
  }
});

interface Sums {
  readonly skippedByReason: Readonly<Record<string, number>>;
  readonly [count: string]: unknown;
}

function sum(summaries: readonly Summary[]): Sums {
  const total = (records: readonly Readonly<Record<string, unknown>>[]) => {
    const sums: Record<string, number> = {};
    for (const [name, value] of records.flatMap((record) => Object.entries(record))) {
      if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value;
    }
    return sums;
  };
  const reasons = summaries.map(({ skippedByReason }) => skippedByReason as Record<string, number>);
  return { ...total(summaries), skippedByReason: total(reasons) };
}

/** The process's peak memory in MiB. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024);
}
