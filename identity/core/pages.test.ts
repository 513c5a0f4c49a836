import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { execute, insertRows, ONE_PROJECT } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';
import { openDatabase } from './database.ts';
import type { CoreIdentity } from './identity.ts';
import { pageStatement } from './pages.ts';

const IDENTIFIERS = [
  ...['', ' ', '0', '007', 'A', 'Ab', 'B', 'Z', '_', 'a', 'ab', 'b', 'z', 'é', 'e\u0301', 'ß', 'ẞ', 'İ', '🦄', '用户'],
  ...["o'brien", '"', '\\', '\n', '\u0001', '\u{10ffff}', 'user@example.com', 'x'.repeat(2000)],
];

let database: TestDatabase;
let core: Core;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [
      { id: 1, api_key: 'v1' },
      { id: 2, api_key: 'v2', use_v2_feature_versioning: true },
      { id: 3, api_key: 'neighbour' },
    ],
    environments_identity: IDENTIFIERS.flatMap((identifier, index) => [
      { id: 100 + index, identifier },
      { id: 500 + index, identifier, environment_id: 3 },
    ]),
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 2 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

async function readAll(limit: number, until: string | null = null, from: string | null = null): Promise<string[]> {
  const identifiers: string[] = [];
  for (let after = from; ; ) {
    const page = await core.identities.page({ environment: { id: 1 }, after, until, limit });
    identifiers.push(...page.identities.map(({ identifier }) => identifier));
    expect(page.identities.length).toBeLessThanOrEqual(limit);
    if (page.last === null) return identifiers;
    after = page.last;
  }
}

describe.each(['C', 'en-x-icu', 'und-x-icu'])('in collation %s', (collation) => {
  beforeAll(() =>
    execute(
      database.url,
      `ALTER TABLE environments_identity ALTER identifier TYPE varchar(2000) COLLATE "${collation}"`,
    ),
  );

  test.each([1, 3, 1000])('pages of %i visit every identity of the environment exactly once', async (limit) => {
    const visited = await readAll(limit);
    expect(visited).toHaveLength(IDENTIFIERS.length);
    expect(new Set(visited)).toEqual(new Set(IDENTIFIERS));
  });

  test('a range ends with its last identifier, and the next one begins after it', async () => {
    const all = await readAll(1000);
    const middle = all[13] ?? '';
    expect(await readAll(4, middle)).toEqual(all.slice(0, 14));
    expect(await readAll(4, null, middle)).toEqual(all.slice(14));
  });
});

test('an empty page has no last identifier', async () => {
  const request = { environment: { id: 99 }, after: null, until: null, limit: 10 };
  expect(await core.identities.page(request)).toEqual({ identities: [], last: null, isLast: true, size: 0 });
});

test('a page ends where its rows become too large, and the next one continues after it', async () => {
  const request = { environment: { id: 1 }, until: null, limit: 1000, maxSize: 400 };
  const pages: string[][] = [];
  for (let after: string | null = null, isLast = false; !isLast; ) {
    const page = await core.identities.page({ ...request, after });
    pages.push(page.identities.map(({ identifier }) => identifier));
    ({ last: after, isLast } = page);
  }
  expect(pages.flat()).toEqual(await readAll(1000));
  expect(pages.length).toBeGreaterThan(2);
  expect(pages.every(({ length }) => length > 0)).toBe(true);
});

test('identities are found by id within their environment, and by identifier', async () => {
  const found = await core.identities.byId({ id: 1 }, [100, 103, 500, 99_999]);
  expect(found.map(({ id }) => id).toSorted()).toEqual([100, 103]);
  expect(await core.identities.byId({ id: 1 }, [])).toEqual([]);
  expect((await core.identities.one({ environmentId: 3, identifier: '🦄' }))?.id).toBe(518);
  expect(await core.identities.one({ environmentId: 2, identifier: '🦄' })).toBeUndefined();
});

async function read(id: number, environmentId = 1): Promise<CoreIdentity> {
  const [identity] = await core.identities.byId({ id: environmentId }, [id]);
  return identity ?? expect.fail(`no identity ${id}`);
}

test('under a collation that ignores case an identity is found only by its exact name', async () => {
  await using other = await createDatabase();
  await insertRows(other.url, {
    ...ONE_PROJECT,
    environments_identity: [{ id: 1, identifier: 'alice', environment_id: 1 }],
  });
  await execute(
    other.url,
    `CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     ALTER TABLE environments_identity ALTER identifier TYPE varchar(2000) COLLATE ignoring_case`,
  );
  const core = openCore({ databaseUrl: other.url }, { maxConnections: 1 });
  try {
    const places = ['alice', 'ALICE'].map((identifier) => ({ environmentId: 1, identifier }));
    expect((await core.identities.one(places[0]!))?.id).toBe(1);
    expect(await core.identities.one(places[1]!)).toBeUndefined();
    expect((await core.identities.at(places)).map((found) => found?.id)).toEqual([1, undefined]);
    const keyed = await core.identities.keyedMany(places.map((place) => ({ ...place, apiKey: 'key' })));
    expect(keyed.map(({ identity }) => identity?.id)).toEqual([1, undefined]);
  } finally {
    await core.close();
  }
});

test('dates keep their microseconds', async () => {
  await insertRows(database.url, {
    environments_identity: [
      { id: 1001, identifier: 'd1', created_date: '2023-05-17T11:30:01.000001+02:00' },
      { id: 1002, identifier: 'd2', created_date: 'infinity' },
      { id: 1003, identifier: 'd3', created_date: '0044-03-15 BC' },
    ],
  });
  const dates = [await read(1001), await read(1002), await read(1003)].map(({ createdDate }) => createdDate);
  expect(dates).toEqual(['2023-05-17T09:30:01.000001', 'infinity', '0044-03-15T00:00:00 BC']);
});

test('traits are sorted by id, each with the value of the column that its type selects', async () => {
  const all = { integer_value: -2147483648, string_value: 'left over', boolean_value: false, float_value: 1e-300 };
  await insertRows(database.url, {
    environments_identity: [{ id: 1010, identifier: 't' }],
    environments_trait: ['float', 'bool', 'int', 'unicode', null, 'other'].map((value_type, index) => ({
      ...{ id: 1016 - index, identity_id: 1010, trait_key: `${value_type}`, value_type },
      ...all,
    })),
  });
  expect((await read(1010)).traits).toEqual([
    { id: 1011, key: 'other', type: 'other', value: null },
    { id: 1012, key: 'null', type: null, value: null },
    { id: 1013, key: 'unicode', type: 'unicode', value: 'left over' },
    { id: 1014, key: 'int', type: 'int', value: -2147483648 },
    { id: 1015, key: 'bool', type: 'bool', value: false },
    { id: 1016, key: 'float', type: 'float', value: 1e-300 },
  ]);
});

test('floats keep all their digits, and those that are not numbers arrive as text', async () => {
  const floats = [0.1 + 0.2, -0, 5e-324, 1.7976931348623157e308, 'Infinity', '-Infinity', 'NaN'];
  await insertRows(database.url, {
    environments_identity: [{ id: 1020, identifier: 'f' }],
    environments_trait: floats.map((float_value, index) => ({
      ...{ id: 1020 + index, identity_id: 1020, trait_key: `f${index}`, value_type: 'float' },
      float_value: Object.is(float_value, -0) ? '-0' : float_value,
    })),
  });
  expect((await read(1020)).traits.map(({ value }) => value)).toEqual(floats);
});

test('system traits keep digits that a double cannot hold', async () => {
  await insertRows(database.url, { environments_identity: [{ id: 1030, identifier: 's' }] });
  await execute(
    database.url,
    `UPDATE environments_identity SET system_traits = '{"n": 12345678901234567890}' WHERE id = 1030`,
  );
  expect((await read(1030)).systemTraits).toBe('{"n": 12345678901234567890}');
  expect((await read(1010)).systemTraits).toBeNull();
});

describe('live overrides', () => {
  const past = { live_from: '2024-01-01T00:00:00Z', version: 1 };
  const future = { live_from: '2999-01-01T00:00:00Z', version: 1 };
  const rows = [
    ['live', past],
    ['scheduled', future],
    ['a draft without live_from', { live_from: null, version: 1 }],
    ['a draft without version', { live_from: '2024-01-01T00:00:00Z', version: null }],
    ['deleted', { ...past, deleted_at: '2024-01-01T00:00:00Z' }],
    ['live since ever', { live_from: '-infinity', version: 1 }],
    ['never live', { live_from: 'infinity', version: 1 }],
  ] as const;

  beforeAll(() =>
    insertRows(database.url, {
      environments_identity: [
        { id: 2001, identifier: 'o', environment_id: 1 },
        { id: 2002, identifier: 'o', environment_id: 2 },
      ],
      features_feature: [{ id: 1, name: 'f' }],
      features_featurestate: [1, 2].flatMap((environment_id) =>
        rows.map(([, row], index) => ({
          ...{ id: 3000 + 100 * environment_id + index, environment_id, identity_id: 2000 + environment_id },
          ...{ feature_id: 1, ...row },
        })),
      ),
    }),
  );

  const names = async (identity: number, environment: number) =>
    (await read(identity, environment)).overrides.map(({ id }) => rows[id % 100]?.[0]);

  test('with v1 versioning an override is live if it is versioned and its time has come', async () => {
    expect(await names(2001, 1)).toEqual(['live', 'live since ever']);
  });

  test('with v2 versioning every override that is not deleted is live', async () => {
    const all = rows.map(([name]) => name);
    expect(await names(2002, 2)).toEqual(all.filter((name) => name !== 'deleted'));
  });

  test("the versioning of an override's own environment counts; without one it is never live", async () => {
    await insertRows(database.url, {
      environments_identity: [{ id: 2003, identifier: 'stray', environment_id: 1 }],
      features_featurestate: [
        { id: 3301, identity_id: 2003, feature_id: 1, environment_id: 2, ...future },
        { id: 3302, identity_id: 2003, feature_id: 1, environment_id: null, ...past },
      ],
    });
    expect((await read(2003)).overrides.map(({ id, environmentId }) => [id, environmentId])).toEqual([[3301, 2]]);
  });

  test('live overrides come with their values and percentages, by id', async () => {
    await insertRows(database.url, {
      environments_identity: [{ id: 2004, identifier: 'mv' }],
      features_feature: [{ id: 2, name: 'mv', type: 'MULTIVARIATE' }],
      multivariate_multivariatefeatureoption: [
        { id: 1, feature_id: 2, type: 'int', integer_value: 7, string_value: 'left over', key: 'seven' },
        { id: 2, feature_id: 2, type: null, integer_value: 7, string_value: 'text' },
      ],
      features_featurestate: [
        {
          id: 3401,
          uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e',
          identity_id: 2004,
          feature_id: 2,
          mv_hashing_salt: 9,
        },
      ],
      features_featurestatevalue: [{ feature_state_id: 3401, type: 'bool', boolean_value: true, string_value: 'x' }],
      multivariate_multivariatefeaturestatevalue: [
        { id: 12, uuid: '00000000-0000-4000-8000-000000000012', feature_state_id: 3401, percentage_allocation: 0.1 },
        { id: 11, uuid: '00000000-0000-4000-8000-000000000011', feature_state_id: 3401, percentage_allocation: 'NaN' },
      ].map((row, index) => ({ ...row, multivariate_feature_option_id: index + 1 })),
    });
    expect((await read(2004)).overrides).toEqual([
      {
        ...{ id: 3401, uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e', featureId: 2, featureName: 'mv' },
        ...{ featureType: 'MULTIVARIATE', environmentId: 1, enabled: true, value: true },
        ...{ liveFrom: '2024-01-02T03:04:05.678901', version: 1, hashingSalt: 9 },
        multivariateValues: [
          {
            ...{ id: 11, uuid: '00000000-0000-4000-8000-000000000011', percentageAllocation: 'NaN' },
            ...{ optionId: 2, optionValue: 'text', optionKey: null },
          },
          {
            ...{ id: 12, uuid: '00000000-0000-4000-8000-000000000012', percentageAllocation: 0.1 },
            ...{ optionId: 1, optionValue: 7, optionKey: 'seven' },
          },
        ],
      },
    ]);
  });
});

test('identities at places of several environments are returned in the order of the places', async () => {
  const places = [
    ...IDENTIFIERS.map((identifier) => ({ environmentId: 3, identifier })),
    { environmentId: 1, identifier: 'nobody' },
    ...IDENTIFIERS.map((identifier) => ({ environmentId: 1, identifier })).reverse(),
    { environmentId: 2, identifier: 'A' },
  ];
  const found = await core.identities.at(places);
  const singly = await Promise.all(places.map((place) => core.identities.one(place)));
  expect(found).toHaveLength(places.length);
  expect(found).toEqual(singly);
  expect(await core.identities.at([])).toEqual([]);
});

test("a page is read by index alone without statistics and with right ones, without other environments' rows", {
  timeout: 600_000,
}, async () => {
  await execute(
    database.url,
    // Statistics of a moment in between would call the environment tiny (docs/limits.md, "Statistics").
    ...['identity', 'trait'].map((table) => `ALTER TABLE environments_${table} SET (autovacuum_enabled = off)`),
    `INSERT INTO environments_identity (id, identifier, created_date, environment_id, system_traits)
     SELECT 100000 + i, md5(i::text), now(), CASE WHEN i % 20 = 0 THEN 1 ELSE 3 END, '{}'
       FROM generate_series(1, 100000) i`,
    `INSERT INTO environments_trait (id, identity_id, trait_key, value_type, string_value, created_date)
     SELECT 100000 + i, 100000 + i, 'plan', 'unicode', 'gold', now() FROM generate_series(1, 100000) i`,
  );
  const statements = openDatabase({ databaseUrl: database.url }, { maxConnections: 1 });
  onTestFinished(() => statements.close());
  for (const prepare of ['SELECT 1', 'ANALYZE']) {
    await execute(database.url, prepare);
    for (const bounds of [
      { after: null, until: null },
      { after: '3', until: '9' },
    ]) {
      const plan = await statements.readByRelease((query, release) => {
        const { text, values } = pageStatement(release, { environment: { id: 1 }, ...bounds, limit: 500 });
        return query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ${text}`, values);
      });
      const lines = plan.map((line) => line['QUERY PLAN'].trim());
      const [identities, ...traits] = ['identity', 'trait']
        .map((table) => lines.findIndex((line) => line.includes('Scan') && line.includes(`on environments_${table}`)))
        .map((index) => lines.slice(index, index + 4).join('\n'));
      expect(identities).toMatch(
        /Index Scan using environments_identity_environment_id_identifier_\w+ .*rows=500(\.00)? /,
      );
      expect(identities).toMatch(/Index Cond: \(+environment_id = /);
      expect(traits.join()).toMatch(/Index Scan using environments_trait_identity_id_\w+ /);
      expect(`${identities}${traits}`).not.toContain('Filter');
    }
  }
});
