import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createDatabase, dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { canonicalText } from '@edge-migration/test/core/canonical.ts';
import { expectedDocuments } from '@edge-migration/test/core/expectation.ts';
import { type SeededProject, type SeedOptions, seedProject } from '@edge-migration/test/core/seed.ts';
import { createTables, type DynamodbAccess, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { type DynamodbProxy, startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import pg from 'pg';
import { vi } from 'vitest';
import type { LiveSettings } from '../../../edge-migration/facts.ts';
import { createMemoryRecord } from '../../../job/memory-record.ts';
import { openWorkerStores, type WorkerStores } from '../../../job/stores.ts';
import type { Checkpoint } from '../../checkpoint.ts';
import type { Range } from '../../ranges.ts';
import { type CopyOptions, copyRange } from '../copy-range.ts';
import { createPageWriter } from '../page-writer.ts';

/** A seeded project in a database of its own, empty tables behind a fault proxy, and copies from one to the other. */
export interface TestProject extends AsyncDisposable {
  readonly seeded: SeededProject;
  readonly databaseUrl: string;
  readonly tables: TestTables;
  readonly proxy: DynamodbProxy;
  readonly stores: WorkerStores;
  readonly wholeProject: Range;
  readonly settings: LiveSettings;
  copy(options?: Partial<CopyOptions>, signal?: AbortSignal): Promise<Checkpoint>;
  /** Runs SQL on Core. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /**
   * Compares Edge with an independent statement of what Flagsmith would have written. Lists at most five keys of each
   * kind, which is enough to debug a failed test.
   */
  compare(): Promise<{ missing: string[]; extra: string[]; different: string[] }>;
}

const silent = createLogger('test', 'silent');

/** @param options `dynamodb`: the caller's own server; by default that of the test run */
export async function createTestProject(
  options: SeedOptions & { clock?: CopyOptions['clock']; dynamodb?: DynamodbAccess } = {},
): Promise<TestProject> {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
  const { clock = systemClock, dynamodb: own, ...seed } = options;
  const access = own ?? (await dynamodb());
  const database = await createDatabase();
  const seeded = await seedProject(database.url, { identities: 300, ...seed });
  const tables = await createTables(access);
  const proxy = await startDynamodbProxy(access.endpoint);
  const signal = new AbortController().signal;
  const stores = await openWorkerStores(
    {
      ...tables.settings,
      dynamodbEndpoint: proxy.endpoint,
      databaseUrl: database.url,
      projectId: seeded.projectId,
      maxWriteUnitsPerSecond: 1_000_000,
    },
    { clock, retryBudgetMs: 20_000, signal },
  );
  const core = new pg.Client({ connectionString: database.url });
  await core.connect();
  const settings: LiveSettings = { pageSize: 50, maxWriteUnitsPerSecond: 1_000_000, onConflict: 'KeepEdge' };
  const wholeProject: Range = {
    rangeId: 0,
    segments: stores.project.environments.map(({ id }) => ({ environmentId: id, after: null, until: null })),
  };

  return {
    seeded,
    databaseUrl: database.url,
    tables,
    proxy,
    stores,
    settings,
    wholeProject,
    copy: (given, abort = signal) =>
      copyRange(
        {
          stores,
          project: stores.project,
          range: wholeProject,
          record: createMemoryRecord(),
          handlePage: createPageWriter(stores),
          settings: () => settings,
          pageMaxAgeMs: 30_000,
          lateWriteMs: 0,
          retryBudgetMs: 20_000,
          instance: 'test',
          clock,
          logger: silent,
          ...given,
        },
        abort,
      ),
    sql: async (text, values) => (await core.query(text, values)).rows,
    async compare() {
      const items = await tables.scan();
      const actual = new Map(items.map((item) => [item['composite_key']?.S ?? '', canonicalText(item)]));
      const missing: string[] = [];
      const different: string[] = [];
      for await (const { key, storable, document } of expectedDocuments(database.url, seeded.projectId)) {
        if (!storable) continue;
        if (!actual.has(key)) missing.push(key);
        else if (actual.get(key) !== canonicalText(document)) different.push(key);
        actual.delete(key);
      }
      const extra = [...actual.keys()];
      return { missing: missing.slice(0, 5), extra: extra.slice(0, 5), different: different.slice(0, 5) };
    },
    async [Symbol.asyncDispose]() {
      await core.end();
      await stores[Symbol.asyncDispose]();
      await proxy.stop();
      await tables.drop();
      await database.drop();
      vi.unstubAllEnvs();
    },
  };
}

/** The result of {@link TestProject.compare} without differences. */
export const EQUAL = { missing: [], extra: [], different: [] };

/** The counts of a copy. */
export const countsOf = ({ positions }: Checkpoint) => positions[0]!.totals.counts;

/** The number of times that each document's insert was sent. */
export function countInserts({ calls }: DynamodbProxy): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { operation, body } of calls) {
    if (operation !== 'BatchExecuteStatement') continue;
    for (const { Parameters } of body.Statements as { Parameters: { S?: string }[] }[]) {
      const key = Parameters[0]?.S ?? '';
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}
