import { type Core, openCore } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { driftCollation } from '@edge-migration/test/core/drift.ts';
import { type SeededProject, seedProject } from '@edge-migration/test/core/seed.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chooseRangeSize, type MeasuredRange, mergeSteps, planRanges } from './ranges.ts';

const signal = new AbortController().signal;
let database: TestDatabase;
let core: Core;
let seeded: SeededProject;

beforeAll(async () => {
  database = await createDatabase();
  seeded = await seedProject(database.url, { identities: 25_000 });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 2 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

const plan = async (projectId: number, parallelism: number) => {
  const project = await core.projects.get(projectId);
  return planRanges(core, project?.environments ?? [], parallelism, signal);
};

async function readRange({ segments }: MeasuredRange, from = core): Promise<number[]> {
  const ids: number[] = [];
  for (const { environmentId, order, after: start, until } of segments) {
    for (let after = start, isLast = false; !isLast; ) {
      const request = { environment: { id: environmentId }, order, after, until, limit: 50_000 };
      const page = await from.identities.page(request);
      ids.push(...page.identities.map(({ id }) => id));
      ({ last: after, isLast } = page);
    }
  }
  return ids;
}

describe('planned ranges', () => {
  test('contain every identity of the live environments exactly once, with exact counts', async () => {
    const ranges = await plan(seeded.projectId, 4);
    const ids = await Promise.all(ranges.map((range) => readRange(range)));
    expect(ids.map(({ length }) => length)).toEqual(ranges.map(({ identities }) => identities));
    expect(new Set(ids.flat()).size).toBe(seeded.identities);
    expect(ids.flat()).toHaveLength(seeded.identities);
  });

  test('have about the same size, several per pod, and are numbered from 0', async () => {
    const ranges = await plan(seeded.projectId, 2);
    expect(ranges.length).toBeGreaterThanOrEqual(4);
    expect(ranges.map(({ rangeId }) => rangeId)).toEqual(ranges.map((_, index) => index));
    expect(Math.max(...ranges.map(({ identities }) => identities))).toBeLessThan(6_000);
  });

  test('have open ends, so that one of them includes identities created later', async () => {
    const segments = (await plan(seeded.projectId, 4)).flatMap((range) => range.segments);
    const live = new Set(segments.map(({ environmentId }) => environmentId));
    for (const environmentId of live) {
      const own = segments.filter((segment) => segment.environmentId === environmentId);
      expect(own.filter(({ after }) => after === null)).toHaveLength(1);
      expect(own.filter(({ until }) => until === null)).toHaveLength(1);
    }
  });

  test('do not exist for a project without environments', async () => {
    expect(await planRanges(core, [], 4, signal)).toEqual([]);
  });
});

describe('with an index on identifiers whose order differs from that of comparisons', () => {
  let drifted: TestDatabase;
  let core: Core;
  const COUNT = 3000;

  beforeAll(async () => {
    drifted = await createDatabase();
    await execute(
      drifted.url,
      `SET session_replication_role = 'replica';
       INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
       SELECT CASE n % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'B' ELSE 'c' END || md5(n::text), now(), 1, '{}'
         FROM generate_series(1, ${COUNT}) n`,
    );
    await driftCollation(drifted.url);
    core = openCore({ databaseUrl: drifted.url }, { maxConnections: 2 });
  });
  afterAll(async () => {
    await core.close();
    await drifted.drop();
  });

  test('ranges are by id, and contain every identity exactly once', async () => {
    const ranges = await planRanges(core, [{ id: 1 } as CoreEnvironment], 4, signal);
    expect(ranges.reduce((sum, { identities }) => sum + identities, 0)).toBe(COUNT);
    expect(new Set(ranges.flatMap(({ segments }) => segments.map(({ order }) => order)))).toEqual(new Set(['id']));
    const ids = (await Promise.all(ranges.map((range) => readRange(range, core)))).flat();
    expect([ids.length, new Set(ids).size]).toEqual([COUNT, COUNT]);
  });
});

test('writes during the count never change the order of ranges', async () => {
  const environmentId = seeded.environments[1]!.id;
  const own = core;
  let steps = 0;
  const sql = (text: string) => execute(database.url, text);
  /** After the first step, deletes one that the walk has not reached, and creates one behind it. */
  const measure: typeof own.stretches.measure = async (...values) => {
    const result = await own.stretches.measure(...values);
    if (++steps !== 1) return result;
    await sql(`SET session_replication_role = 'replica'; DELETE FROM environments_identity WHERE id =
      (SELECT id FROM environments_identity WHERE environment_id = ${environmentId} ORDER BY identifier DESC LIMIT 1)`);
    await sql(`INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
      VALUES ('', now(), ${environmentId}, '{}')`);
    return result;
  };
  const busy: Core = { ...own, stretches: { ...own.stretches, measure } };
  const ranges = await planRanges(busy, [{ id: environmentId } as CoreEnvironment], 1, signal);
  expect(steps).toBeGreaterThan(1);
  expect(ranges.flatMap(({ segments }) => segments.map(({ order }) => order))).not.toContain('id');
  const ids = (await Promise.all(ranges.map((range) => readRange(range)))).flat();
  expect(ids.length).toBe(ranges.reduce((sum, { identities }) => sum + identities, 0));
});

describe('with an index that was built by another version of the collation library', () => {
  let maintenance: TestDatabase;
  const name = `icu_${process.pid}`;

  beforeAll(async () => {
    maintenance = await createDatabase({ schema: false });
    await execute(maintenance.url, `CREATE DATABASE ${name} LOCALE_PROVIDER icu ICU_LOCALE 'und' TEMPLATE template0`);
  });
  afterAll(async () => {
    await execute(maintenance.url, `DROP DATABASE ${name}`);
    await maintenance.drop();
  });

  test.each([
    ["the database's", '', `UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database()`],
    ["the column's", 'COLLATE "en-x-icu"', `UPDATE pg_collation SET collversion = '0' WHERE collname = 'en-x-icu'`],
  ])('ranges are by id: %s collation', async (_, collation, age) => {
    const url = Object.assign(new URL(maintenance.url), { pathname: name }).href;
    await execute(
      url,
      `DROP TABLE IF EXISTS environments_identity;
       CREATE TABLE environments_identity (
         id int PRIMARY KEY, identifier varchar(2000) ${collation}, environment_id int, UNIQUE (environment_id, identifier));
       INSERT INTO environments_identity VALUES (1, 'ada', 1), (2, 'bob', 1)`,
    );
    const core = openCore({ databaseUrl: url }, { maxConnections: 1 });
    const orders = async () =>
      (await planRanges(core, [{ id: 1 } as CoreEnvironment], 4, signal)).flatMap(({ segments }) =>
        segments.map(({ order }) => order),
      );
    try {
      expect(await orders()).toEqual([undefined]);
      await execute(url, age);
      expect(await orders()).toEqual(['id']);
      await execute(url, `ALTER DATABASE ${name} REFRESH COLLATION VERSION`);
    } finally {
      await core.close();
    }
  });
});

describe('merging steps into ranges', () => {
  const steps = fc.array(
    fc.record({ environmentId: fc.integer({ min: 1, max: 3 }), identities: fc.integer({ min: 0, max: 100 }) }),
  );

  test('keeps every step in order, and joins adjacent ones', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 500 }), (lengths, size) => {
        const sorted = [...lengths].sort((a, b) => a.environmentId - b.environmentId);
        const chain = sorted.map(({ environmentId, identities }, index) => ({
          environmentId,
          identities,
          after: sorted[index - 1]?.environmentId === environmentId ? `boundary-${index}` : null,
          until: sorted[index + 1]?.environmentId === environmentId ? `boundary-${index + 1}` : null,
        }));
        const ranges = mergeSteps(chain, size);
        const total = (counted: { identities: number }[]) =>
          counted.reduce((sum, { identities }) => sum + identities, 0);
        expect(total(ranges)).toBe(total(chain));
        const segments = ranges.flatMap((range) => range.segments);
        segments.forEach((segment, index) => {
          const following = segments[index + 1];
          if (following?.environmentId === segment.environmentId) expect(following.after).toBe(segment.until);
          else expect(segment.until).toBeNull();
        });
      }),
    );
  });

  test.each([
    [0, 4, 5_000],
    [20_000, 4, 5_000],
    [160_000, 4, 10_000],
    [1_000_000, 4, 50_000],
    [100_000_000, 4, 100_000],
  ])('%i identities for %i pods are cut into ranges of %i', (total, parallelism, size) => {
    expect(chooseRangeSize(total, parallelism)).toBe(size);
  });
});
