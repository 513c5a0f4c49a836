import { createDatabase } from '@edge-migration/test/cluster/shared.ts';
import { downgrade, RELEASES } from '@edge-migration/test/core/releases.ts';
import { expect, test } from 'vitest';
import { encodeIdentity } from '../edge/document/document.ts';
import { execute, insertRows, ONE_PROJECT } from '../fixtures/core-rows.ts';
import { openCore } from './core.ts';
import { CoreUnsupportedError } from './errors.ts';
import type { CoreRelease } from './release.ts';

const HEAD: CoreRelease = {
  environmentSoftDelete: true,
  v2FeatureVersioning: true,
  scheduledOverrides: true,
  overrideSoftDelete: true,
  optionKeys: true,
  hashingSalts: true,
  systemTraits: true,
  environmentHistory: true,
  overrideWinner: 'latestLiveFrom',
};

/** The features of the current release that each older one lacks. */
const LACKING: Readonly<Record<(typeof RELEASES)[number], Partial<CoreRelease>>> = {
  '2.265.0': {},
  '2.262.0': { systemTraits: false },
  '2.256.0': { systemTraits: false, overrideWinner: 'highestId' },
  '2.252.0': { systemTraits: false, overrideWinner: 'highestId', hashingSalts: false },
  '2.238.0': { systemTraits: false, overrideWinner: 'highestId', hashingSalts: false, optionKeys: false },
  '2.83.0': {
    ...{ systemTraits: false, overrideWinner: 'highestId', hashingSalts: false, optionKeys: false },
    v2FeatureVersioning: false,
  },
  '2.41.0': {
    ...{ systemTraits: false, overrideWinner: 'highestId', hashingSalts: false, optionKeys: false },
    ...{ v2FeatureVersioning: false, environmentSoftDelete: false, environmentHistory: false },
  },
};

test.each(RELEASES)('release %s is detected, read and encoded', async (version) => {
  await using database = await createDatabase();
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, api_key: 'key' }],
    environments_identity: [{ id: 1, identifier: 'someone', system_traits: { cohort: true } }],
    environments_trait: [{ id: 1, identity_id: 1, trait_key: 'age', value_type: 'int', integer_value: 42 }],
    features_feature: [{ id: 1, name: 'colour', type: 'MULTIVARIATE' }],
    multivariate_multivariatefeatureoption: [{ id: 1, feature_id: 1, type: 'unicode', string_value: 'red', key: 'r' }],
    features_featurestate: [{ id: 1, identity_id: 1, feature_id: 1, mv_hashing_salt: 99 }],
    features_featurestatevalue: [{ id: 1, feature_state_id: 1, type: 'unicode', string_value: 'blue' }],
    multivariate_multivariatefeaturestatevalue: [
      { id: 1, feature_state_id: 1, multivariate_feature_option_id: 1, percentage_allocation: 100 },
    ],
  });
  await downgrade(database.url, version);
  const core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
  try {
    const release = await core.server.release();
    expect(release).toEqual({ ...HEAD, ...LACKING[version] });
    const environment = (await core.projects.get(1))?.environments[0] ?? expect.fail('no environment');
    const { identities } = await core.identities.page({ environment, after: null, until: null, limit: 10 });
    const encoded = encodeIdentity(identities[0] ?? expect.fail('no identity'), environment);
    if (encoded.kind === 'skipped') expect.fail(encoded.detail);
    expect('system_traits' in encoded.item).toBe(release.systemTraits);
    const override = encoded.item['identity_features']?.L?.[0]?.M;
    expect(override?.['django_id']).toEqual({ N: release.hashingSalts ? '99' : '1' });
    const option = override?.['multivariate_feature_state_values']?.L?.[0]?.M?.['multivariate_feature_option']?.M;
    expect(option).toEqual({ value: { S: 'red' }, id: { N: '1' }, ...(release.optionKeys ? { key: { S: 'r' } } : {}) });
  } finally {
    await core.close();
  }
});

test('a database without Flagsmith is refused, and the error names what is missing', async () => {
  await using database = await createDatabase({ schema: false });
  const core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
  await expect(core.server.release()).rejects.toThrow(CoreUnsupportedError);
  await expect(core.server.release()).rejects.toThrow(/environments_identity\.identifier.+not found in schema public/);
  await core.close();
});

test('a database whose overrides have neither schedule nor soft deletion is read: all are live', async () => {
  await using database = await createDatabase();
  await execute(
    database.url,
    'ALTER TABLE features_featurestate DROP COLUMN live_from, DROP COLUMN version, DROP COLUMN deleted_at',
  );
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, api_key: 'key' }],
    environments_identity: [{ id: 1, identifier: 'someone' }],
    features_feature: [{ id: 1, name: 'f' }],
  });
  await execute(
    database.url,
    `INSERT INTO features_featurestate (id, uuid, feature_id, environment_id, identity_id, enabled, updated_at)
     VALUES (1, gen_random_uuid(), 1, 1, 1, true, now())`,
  );
  const core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
  const { identities } = await core.identities.page({ environment: { id: 1 }, after: null, until: null, limit: 1 });
  expect(identities[0]?.overrides).toMatchObject([{ id: 1, liveFrom: null, version: null }]);
  await core.close();
});
