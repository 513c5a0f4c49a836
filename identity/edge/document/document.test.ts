import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { canonicalText } from '@edge-migration/test/core/canonical.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Core, openCore } from '../../core/core.ts';
import { type CoreRow, insertRows } from '../../fixtures/core-rows.ts';
import { DIFFERENT, insertVectors, PROJECTS, SKIPPED, VECTORS, type Vector } from '../../fixtures/vectors.ts';
import { type EncodedDocument, encodeIdentity, type Item, type SkippedIdentity } from './document.ts';
import { readDocument } from './reader.ts';

let database: TestDatabase;
let core: Core;
const encoded = new Map<number, EncodedDocument | SkippedIdentity>();

beforeAll(async () => {
  database = await createDatabase();
  await insertVectors(database.url);
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
  for (const project of PROJECTS) {
    for (const environment of (await core.projects.get(project))?.environments ?? []) {
      const { identities } = await core.identities.page({ environment, after: null, until: null, limit: 1000 });
      for (const identity of identities) encoded.set(identity.id, encodeIdentity(identity, environment));
    }
  }
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

function vector(name: string): Vector {
  return VECTORS.find((candidate) => candidate.case === name) ?? expect.fail(`no vector "${name}"`);
}

function documentOf({ identity_id }: Pick<Vector, 'identity_id'>): Item {
  const result = encoded.get(identity_id);
  return result?.kind === 'document' ? result.item : expect.fail(`${identity_id}: ${JSON.stringify(result)}`);
}

const override = (item: Item, index = 0) => item['identity_features']?.L?.[index]?.M ?? {};

/** As JSON with sorted keys and every number as written, without `identity_uuid`. */
function exactText(item: Item): string {
  return JSON.stringify(item, (name, value: unknown) => {
    if (name === 'identity_uuid') return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

describe("Flagsmith's own documents", () => {
  const same = VECTORS.filter(({ case: name }) => !(name in SKIPPED) && !DIFFERENT.includes(name));

  test('the tests cover all 80 vectors', () => {
    expect(VECTORS).toHaveLength(80);
    expect(same).toHaveLength(80 - Object.keys(SKIPPED).length - DIFFERENT.length);
    for (const name of [...Object.keys(SKIPPED), ...DIFFERENT]) vector(name);
  });

  test.each(same)("our document equals Flagsmith's, byte for byte: $case", (given) => {
    const item = documentOf(given);
    expect(canonicalText(item)).toBe(canonicalText(given.document ?? {}));
    // Even the layout of numbers is the same.
    expect(exactText(item)).toBe(exactText(given.document ?? {}));
    expect(readDocument(item).kind).toBe('readable');
  });

  test.each(Object.entries(SKIPPED))('a document that cannot be stored is skipped: %s', (name, reason) => {
    const given = vector(name);
    expect(given.document === undefined || given.dynamodb_local === 'rejected').toBe(true);
    expect(encoded.get(given.identity_id)).toMatchObject({
      kind: 'skipped',
      reason,
      identityId: given.identity_id,
      environmentId: given.environment_id,
    });
  });
});

describe("deliberate differences from Flagsmith's migrator", () => {
  test('a soft-deleted environment is left out, because its identities cannot be reached', () => {
    expect(encoded.has(vector('soft-deleted environment is still migrated').identity_id)).toBe(false);
    expect(encoded.has(vector('identity of another project (must not be migrated)').identity_id)).toBe(false);
  });

  test.each(['traits of every type', 'trait NULL forms'])(
    "a trait without a value is left out, because Edge's published types refuse NULL: %s",
    (name) => {
      const theirs = vector(name).document ?? {};
      const withValue = theirs['identity_traits']?.L?.filter(({ M }) => M?.['trait_value']?.NULL === undefined) ?? [];
      const ours = documentOf(vector(name));
      expect(exactText(ours)).toBe(exactText({ ...theirs, identity_traits: { L: withValue } }));
    },
  );

  test('of duplicate overrides the one that Core evaluates is used, so that flags do not change', () => {
    const given = vector('override: two live rows, later live_from on higher id: migrator takes lowest id');
    expect(override(given.document ?? {})['feature_state_value']).toEqual({ S: 'low id, earlier' });
    expect(override(documentOf(given))['feature_state_value']).toEqual({ S: 'high id, later' });
  });

  test("a feature of a legacy type is written as STANDARD, because Edge's published types know no other", () => {
    const given = vector('override: archived, deleted, legacy-type, unicode-named feature');
    const theirs = JSON.stringify(given.document);
    expect(theirs).toContain('"type":{"S":"FLAG"}');
    expect(canonicalText(documentOf(given))).toBe(canonicalText(JSON.parse(theirs.replace('"FLAG"', '"STANDARD"'))));
  });

  test.each(['override uuid v1, not v4', 'override uuid nil, not v4', 'MV value uuid v1'])(
    'a uuid that readers refuse gets the shape of version 4 instead of aborting the migration: %s',
    (name) => {
      const item = documentOf(vector(name));
      expect(readDocument(item).kind).toBe('readable');
      const { featurestate_uuid, multivariate_feature_state_values } = override(item);
      const values = multivariate_feature_state_values?.L?.map(({ M }) => M?.['mv_fs_value_uuid']?.S) ?? [];
      expect([featurestate_uuid?.S, ...values]).toContain(
        {
          'override uuid v1, not v4': 'c232ab00-9414-41ec-b3c8-9e6bdeced846',
          'override uuid nil, not v4': '00000000-0000-4000-8000-000000000000',
          'MV value uuid v1': '018f2d3e-7b3c-4c3d-8e3f-2b1a0c9d8e7f',
        }[name],
      );
    },
  );

  test('an override without an environment is left out, as in evaluation, instead of aborting the migration', () => {
    expect(documentOf(vector('override environment_id NULL'))['identity_features']).toEqual({ L: [] });
  });

  test('percentages that miss 100 by a rounding error are stored in an order that every reader accepts', () => {
    const given = VECTORS.find(({ case: name }) => name.startsWith('MV allocations 64.4, 29.7, 5.9')) as Vector;
    const values = override(documentOf(given))['multivariate_feature_state_values']?.L ?? [];
    const percentages = values.map(({ M }) => Number(M?.['percentage_allocation']?.N));
    expect(percentages.toSorted((a, b) => a - b)).toEqual([5.9, 29.7, 64.4]);
    expect(percentages.reduce((sum, percentage) => sum + percentage, 0)).toBeLessThanOrEqual(100);
  });
});

describe('an identity', () => {
  let next = 1;

  /** Inserts an identity with traits into the vectors' first environment, reads it back and encodes it. */
  async function encode(
    identity: CoreRow,
    traits: readonly CoreRow[] = [],
  ): Promise<EncodedDocument | SkippedIdentity> {
    const environment = { id: 2000900001, apiKey: 'VecEnvOneAAAAAAAAAAAAA', useV2FeatureVersioning: false };
    const id = next++;
    await insertRows(database.url, {
      environments_identity: [{ id, identifier: `own-${id}`, environment_id: environment.id, ...identity }],
      environments_trait: traits.map((trait, index) => ({
        ...{ id: 1000 * id + index, identity_id: id, trait_key: `t${index}`, ...trait },
      })),
    });
    const [read] = await core.identities.byId(environment, [id]);
    return encodeIdentity(read ?? expect.fail(`no identity ${id}`), environment);
  }

  async function stored(identity: CoreRow, traits: readonly CoreRow[] = []): Promise<Item> {
    const result = await encode(identity, traits);
    return result.kind === 'document' ? result.item : expect.fail(result.detail);
  }

  test.each([
    ['infinity', '9999-12-31T23:59:59.999999+00:00'],
    ['-infinity', '0001-01-01T00:00:00+00:00'],
    ['2023-05-17T09:30:01.120000Z', '2023-05-17T09:30:01.120000+00:00'],
    ['2023-05-17T09:30:01Z', '2023-05-17T09:30:01+00:00'],
  ])('an identity created %s is written with %s', async (created_date, isoformat) => {
    expect((await stored({ created_date }))['created_date']).toEqual({ S: isoformat });
  });

  test.each(['0044-03-15 BC', '0044-03-15 00:00:00.123 BC', '10000-01-01', '294276-12-31'])(
    'an identity created %s is skipped alone; the migrator loses its whole chunk',
    async (created_date) => {
      expect(await encode({ created_date })).toMatchObject({ kind: 'skipped', reason: 'CreatedDateOutOfRange' });
    },
  );

  test('an identity keeps its system traits, which the migrator loses for good', async () => {
    const system_traits = { cohort: true, 'other cohort': false, tier: 'gold', level: 3, ratio: 0.5, none: null };
    expect((await stored({ system_traits }))['system_traits']).toEqual({
      M: {
        cohort: { BOOL: true },
        'other cohort': { BOOL: false },
        tier: { S: 'gold' },
        level: { N: '3' },
        ratio: { N: '0.5' },
      },
    });
    expect('system_traits' in (await stored({ system_traits: {} }))).toBe(false);
    expect('system_traits' in (await stored({ system_traits: { none: null } }))).toBe(false);
  });

  test.each([[['a list']], [{ nested: {} }], [{ list: [true] }], [{ '': true }], ['text'], [7]])(
    'an identity with invalid system traits is skipped: %j',
    async (system_traits) => {
      expect(await encode({ system_traits })).toMatchObject({ kind: 'skipped', reason: 'SystemTraitUnsupported' });
    },
  );

  test('an identity keeps the uuid of its document on Edge', async () => {
    const { identities } = await core.identities.page({
      ...{ environment: { id: 2000900001 }, after: null, until: null, limit: 1 },
    });
    const environment = { id: 1, apiKey: 'key', useV2FeatureVersioning: false };
    const identityUuid = '5d1f3a2b-7c8d-4e9f-a0b1-c2d3e4f5a6b7';
    const result = encodeIdentity(identities[0] ?? expect.fail(), environment, { identityUuid });
    expect(result).toMatchObject({ kind: 'document', item: { identity_uuid: { S: identityUuid } } });
  });

  test('a skipped identity names the unstorable trait, but neither its value nor the identifier', async () => {
    const secret = '1234567890'.repeat(5);
    const result = await encode({ identifier: 'somebody@example.com' }, [
      { value_type: 'bool', boolean_value: true },
      { value_type: 'unicode', string_value: secret },
    ]);
    const traitId = 1000 * (next - 1) + 1;
    expect(result).toMatchObject({ reason: 'NumberTooPrecise', detail: `trait ${traitId} has 49 significant digits` });
    expect(JSON.stringify(result)).not.toMatch(/1234567890|somebody/);
  });
});
