import { randomUUID } from 'node:crypto';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Item } from './edge/document/document.ts';
import type { Touched } from './edge/merge.ts';
import { keyOf } from './edge/table/override-rows.ts';
import { openEdge } from './edge/table/table.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { KEY, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, deleteFromCore, fromEdge, run } = useAda();

describe('with the table of overrides for local evaluation', () => {
  const FLAG = { id: 31, uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e', identity_id: 7, feature_id: 5 };
  const ALL: Touched = { traits: 'all', overrides: 'all' };
  const featuresOf = (item: Item | undefined) =>
    item?.['identity_features']?.L?.map(({ M }) => M?.['feature']?.M?.['id']?.N);
  const rows = () => on.tables.scan(on.tables.settings.environmentsV2Table);
  const deleteRows = async () => {
    for (const row of await rows()) await on.stores.edge.overrideRows?.delete(keyOf(row));
  };

  beforeAll(() => insertRows(on.databaseUrl, { features_feature: [{ id: 5, name: 'banner' }] }));

  test('a row of overrides is added, changed and removed with its override', async () => {
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
    await execute(on.databaseUrl, 'UPDATE features_featurestate SET deleted_at = now()');
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(await rows()).toEqual([]);
  });

  test('when everything of Core is touched, an override set only by an Edge client stays, with its row', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_feature: [{ id: 6, name: 'edge-only' }] });
    await insertRows(on.databaseUrl, {
      features_featurestate: [FLAG, { ...FLAG, id: 32, uuid: randomUUID(), feature_id: 6 }],
    });
    await run(ALL);
    // As an Edge client makes them; as far as Core knows, they were never set.
    const found = await fromEdge();
    const elements = found?.['identity_features']?.L ?? [];
    const born = elements.map(({ M: { django_id, ...M } = {} }) =>
      M['feature']?.M?.['id']?.N === '6' ? { M } : { M: { ...M, ...(django_id && { django_id }) } },
    );
    const set = { identity_features: { L: born } };
    await on.stores.edge.identities.updateIfUnchanged(
      KEY,
      { set },
      { identity_features: found?.['identity_features'] },
    );
    await execute(on.databaseUrl, 'DELETE FROM features_featurestate WHERE feature_id = 6');
    await execute(on.databaseUrl, 'UPDATE features_featurestate SET deleted_at = now()');
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(featuresOf(await fromEdge())).toEqual(['6']);
    expect((await rows()).map((row) => row['document_key']?.S?.split(':')[1])).toEqual(['6']);
    expect(await run(ALL)).toMatchObject({ outcome: 'unchanged' });
    await deleteFromCore();
    await run(ALL);
    expect(await rows()).toEqual([]);
  });

  test('when all of Core is touched, an override whose row moved to another feature is removed', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_feature: [{ id: 9, name: 'other' }] });
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    await execute(on.databaseUrl, 'UPDATE features_featurestate SET feature_id = 9');
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(featuresOf(await fromEdge())).toEqual(['9']);
    await deleteFromCore();
    await run(ALL);
  });

  test('with a release that deletes overrides for good, overrides from Core that it lacks are removed', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    await execute(on.databaseUrl, 'DELETE FROM features_featurestate');
    await execute(on.databaseUrl, 'ALTER TABLE features_featurestate DROP COLUMN deleted_at');
    expect(await on.stores.core.server.release()).toMatchObject({ overrideSoftDelete: false });
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(featuresOf(await fromEdge())).toEqual([]);
    await execute(on.databaseUrl, 'ALTER TABLE features_featurestate ADD COLUMN deleted_at timestamptz');
    await on.stores.core.server.release();
  });

  test('a row missing after an aborted attempt is added, and nothing is written after that', async () => {
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

  test('a missing row is not put when an Edge client removes its override before the document is written', async () => {
    const { edge } = on.stores;
    await deleteRows();
    await putInCore(7);
    const element = { M: { feature: { M: { id: { N: '6' }, name: { S: 'edge-only' } } }, enabled: { BOOL: true } } };
    await putInEdge({ django_id: { N: '7' }, identity_features: { L: [element] } });
    const overrideRows = {
      ...edge.overrideRows!,
      async getMany(...keys: Parameters<NonNullable<typeof edge.overrideRows>['getMany']>) {
        const found = await edge.overrideRows!.getMany(...keys);
        await edge.identities.updateIfUnchanged(KEY, { set: { identity_features: { L: [] } } }, {});
        return found;
      },
    };
    const touched = { traits: new Set(['plan']), overrides: new Set(['5']) };
    expect(await run(touched, { ...on.stores, edge: { ...edge, overrideRows } })).toMatchObject({ outcome: 'updated' });
    expect(featuresOf(await fromEdge())).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  test.each([
    ['its row', new Set(['5'])],
    ['all that was touched', 'all'],
  ] as const)(
    'where a write of another region has taken the place of the document alone, %s goes with its override',
    async (_, overrides) => {
      await putInCore(7);
      await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
      await run(ALL);
      const { edge } = on.stores;
      const before = (await fromEdge())?.['identity_features'];
      // As an Edge client sets it there, on the document from before the override.
      await edge.identities.updateIfUnchanged(
        KEY,
        { set: { identity_features: { L: [] } } },
        { identity_features: before },
      );
      await execute(on.databaseUrl, 'UPDATE features_featurestate SET deleted_at = now()');
      const guarantees = () => ({ transactions: edge.guarantees().transactions, final: false });
      const touched = { traits: new Set<string>(), overrides };
      await run(touched, { ...on.stores, edge: { ...edge, guarantees } });
      expect(await rows()).toEqual([]);
    },
  );

  test.each([
    ['its override', 'UPDATE features_featurestate SET deleted_at = now()', 'updated'],
    ['the identity', undefined, 'deleted'],
  ] as const)('on tables of several regions a row goes with %s as elsewhere', async (_, statement, outcome) => {
    const { edge } = on.stores;
    const guarantees = () => ({ transactions: edge.guarantees().transactions, final: false });
    const stores = { ...on.stores, edge: { ...edge, guarantees } };
    const touched = { traits: new Set<string>(), overrides: new Set(['5']) };
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    if (statement === undefined) await deleteFromCore();
    else await execute(on.databaseUrl, statement);
    expect(await run(touched, stores)).toMatchObject({ outcome });
    expect(await rows()).toEqual([]);
  });

  test.each([
    ['changes', 'UPDATE features_featurestate SET enabled = false', ['9b2cf0a6-3c5e-4d0f-8a4b-0c1d2e3f4a5b']],
    ['is deleted', 'UPDATE features_featurestate SET deleted_at = now()', []],
  ] as const)(
    "the row of a document that an Edge client of another region replaced by its own is removed when Core's override %s",
    async (_, statement, uuids) => {
      const { edge } = on.stores;
      const guarantees = () => ({ transactions: edge.guarantees().transactions, final: false });
      const stores = { ...on.stores, edge: { ...edge, guarantees } };
      const touched = { traits: new Set<string>(), overrides: new Set(['5']) };
      await putInCore(7);
      await insertRows(on.databaseUrl, { features_featurestate: [{ ...FLAG, enabled: true }] });
      await run(touched, stores);
      const ours = await fromEdge();
      // Replication replaces the document only.
      await edge.identities.deleteIfUnchanged(ours ?? {});
      await putInEdge();
      await execute(on.databaseUrl, statement);
      await run(touched, stores);
      expect((await rows()).map((row) => row['identity_uuid']?.S)).toEqual(uuids);
      await deleteRows();
    },
  );

  test('rows of overrides are removed with their identity', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [FLAG] });
    await run(ALL);
    await deleteFromCore();
    expect(await run(ALL)).toMatchObject({ outcome: 'deleted' });
    expect(await rows()).toEqual([]);
  });

  test('more overrides than fit into a transaction are all added, and all removed', async () => {
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

  describe('more overrides than fit into a transaction', () => {
    const features = Array.from({ length: 250 }, (_, index) => 2000 + index);

    beforeAll(() =>
      insertRows(on.databaseUrl, { features_feature: features.map((id) => ({ id, name: `feature-${id}` })) }),
    );

    async function putOverridesInCore(): Promise<void> {
      await putInCore(7);
      const states = features.map((feature_id) => ({ id: feature_id, identity_id: 7, feature_id }));
      await insertRows(on.databaseUrl, { features_featurestate: states });
    }

    /** Fails like a process that is killed when it is about to send the n-th transaction. */
    async function runUntil(transaction: number): Promise<void> {
      const access = await dynamodb();
      await using proxy = await startDynamodbProxy(access.endpoint);
      const settings = { ...on.tables.settings, dynamodbEndpoint: proxy.endpoint };
      const edge = openEdge(settings, { credentials: access.credentials, retryBudgetMs: 0 });
      let count = 0;
      proxy.inject(({ operation }) =>
        operation === 'TransactWriteItems' && ++count >= transaction ? { kind: 'reset' } : undefined,
      );
      await expect(run(ALL, { ...on.stores, edge })).rejects.toThrow('did not answer');
      edge.close();
    }

    test.each([1, 2, 3])('overrides all go with their identity although killed at transaction %i', async (at) => {
      await putOverridesInCore();
      await run(ALL);
      await deleteFromCore();
      await runUntil(at);
      await run(ALL);
      expect(await fromEdge()).toBeUndefined();
      expect(await rows()).toEqual([]);
    });

    test.each([1, 2, 3])('overrides all go although the applier is killed at transaction %i', async (at) => {
      await putOverridesInCore();
      await run(ALL);
      await execute(on.databaseUrl, 'UPDATE features_featurestate SET deleted_at = now()');
      await runUntil(at);
      await run(ALL);
      expect(featuresOf(await fromEdge())).toEqual([]);
      expect(await rows()).toEqual([]);
    });

    test.each([1, 2, 3])('overrides are all added although their applier is killed at transaction %i', async (at) => {
      await putOverridesInCore();
      await runUntil(at);
      await run(ALL);
      expect(await rows()).toHaveLength(250);
      await deleteFromCore();
      await run(ALL);
    });

    test('rows that follow a document are not added if it has been removed meanwhile', async () => {
      await putOverridesInCore();
      const access = await dynamodb();
      await using proxy = await startDynamodbProxy(access.endpoint);
      const edge = openEdge({ ...on.tables.settings, dynamodbEndpoint: proxy.endpoint }, access);
      const arrived = Promise.withResolvers<void>();
      const letGo = Promise.withResolvers<void>();
      let count = 0;
      proxy.inject(({ operation }) => {
        if (operation !== 'TransactWriteItems' || ++count !== 2) return undefined;
        arrived.resolve();
        return { kind: 'holdUp', until: letGo.promise };
      });
      const running = run(ALL, { ...on.stores, edge });
      await arrived.promise;
      await deleteFromCore();
      await run(ALL);
      expect(await rows()).toEqual([]);
      letGo.resolve();
      await running;
      expect(await rows()).toEqual([]);
      edge.close();
    });
  });
});
