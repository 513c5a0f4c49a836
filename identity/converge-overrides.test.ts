import { beforeAll, describe, expect, test } from 'vitest';
import type { Touched } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { useAda } from './testing/ada.ts';

const { on, putInCore, deleteFromCore, fromEdge, run } = useAda();

describe('with the table of overrides for local evaluation', () => {
  const FLAG = { id: 31, uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e', identity_id: 7, feature_id: 5 };
  const ALL: Touched = { traits: 'all', overrides: 'all' };
  const rows = () => on.tables.scan(on.tables.settings.environmentsV2Table);

  beforeAll(() => insertRows(on.databaseUrl, { features_feature: [{ id: 5, name: 'banner' }] }));

  test('a row comes with its override, changes with it, and goes with it', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [{ ...FLAG, enabled: true }] });
    expect(await run(ALL)).toMatchObject({ outcome: 'inserted' });
    const document = await fromEdge();
    const document_key = { S: `identity_override:5:${document?.['identity_uuid']?.S}` };
    expect(await rows()).toMatchObject([
      {
        document_key,
        environment_id: { S: '1' },
        identifier: { S: 'ada' },
        feature_state: { M: { enabled: { BOOL: true } } },
      },
    ]);
    await execute(on.databaseUrl, 'UPDATE features_featurestate SET enabled = false');
    await run(ALL);
    expect(await rows()).toMatchObject([{ document_key, feature_state: { M: { enabled: { BOOL: false } } } }]);
    await execute(on.databaseUrl, 'DELETE FROM features_featurestate');
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(await rows()).toEqual([]);
  });

  test('a row that an aborted attempt has left out is added, and nothing is written after that', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    const [row] = await rows();
    await on.stores.edge.overrideRows?.delete({ environment_id: '1', document_key: row?.['document_key']?.S ?? '' });
    await run(ALL);
    expect(await rows()).toMatchObject([{ document_key: row?.['document_key'] }]);
    const [before] = await rows();
    expect(await run(ALL)).toMatchObject({ outcome: 'unchanged' });
    expect(await rows()).toEqual([before]);
  });

  test('rows go with the identity', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    await deleteFromCore();
    expect(await run(ALL)).toMatchObject({ outcome: 'deleted' });
    expect(await rows()).toEqual([]);
  });

  test('more overrides than a transaction takes are all there, and all go', async () => {
    await putInCore(7);
    const features = Array.from({ length: 150 }, (_, index) => 1000 + index);
    await insertRows(on.databaseUrl, {
      features_feature: features.map((id) => ({ id, name: `feature-${id}` })),
      features_featurestate: features.map((feature_id) => ({ id: feature_id, identity_id: 7, feature_id })),
    });
    expect(await run(ALL)).toMatchObject({ outcome: 'inserted' });
    expect(await rows()).toHaveLength(150);
    await deleteFromCore();
    expect(await run(ALL)).toMatchObject({ outcome: 'deleted' });
    expect(await rows()).toEqual([]);
  });
});
