import { itemBytes, MAX_ITEM_BYTES } from '@edge-migration/identity/edge/document/size.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countsOf, createTestProject, EQUAL, type TestProject } from './testing/project.ts';
import { createCopyRecord } from './testing/record.ts';

let project: TestProject;

beforeEach(async () => {
  project = await createTestProject({ identities: 300, unmigratable: 0.02 });
});

afterEach(() => project[Symbol.asyncDispose]());

describe('a document that Edge already has', () => {
  const change = async (environmentKey: string, changes: Record<string, unknown>, count: number) => {
    const items = (await project.tables.scan()).filter((item) => item['environment_api_key']?.S === environmentKey);
    for (const item of items.slice(0, count)) {
      await project.stores.edge.identities.putIfUnchanged({ ...item, ...(changes as typeof item) }, item);
    }
    return items.slice(0, count).map((item) => item['composite_key']!.S!);
  };
  const elsewhere = { identity_traits: { L: [{ M: { trait_key: { S: 'edge' }, trait_value: { S: 'only' } } }] } };
  const environmentKey = () => project.stores.project.environments[0]!.apiKey;

  test('is left unchanged by default, counted and listed', async () => {
    await project.copy();
    const keys = await change(environmentKey(), elsewhere, 3);
    const record = createCopyRecord();
    const counts = countsOf(await project.copy({ record }));
    expect(counts).toMatchObject({ kept: 3, differing: 3, unchanged: 291, merged: 0, replaced: 0 });
    const lines = record
      .current()!
      .differing.trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatchObject({ outcome: 'kept', extraTraits: 1 });
    for (const item of await project.tables.scan()) {
      if (keys.includes(item['composite_key']!.S!)) expect(item['identity_traits']).toEqual(elsewhere.identity_traits);
    }
  });

  test('gets every trait of Core and keeps its own when Core wins', async () => {
    await project.copy();
    const keys = await change(environmentKey(), elsewhere, 3);
    const settings = { ...project.settings, onConflict: 'CoreWins' as const };
    expect(countsOf(await project.copy({ settings: () => settings }))).toMatchObject({
      merged: 3,
      differing: 3,
      kept: 0,
    });
    for (const item of await project.tables.scan()) {
      if (!keys.includes(item['composite_key']!.S!)) continue;
      const traits = (item['identity_traits']?.L ?? []).map((trait) => trait.M?.['trait_key']?.S);
      expect(traits).toContain('edge');
      expect(traits.length).toBeGreaterThan(1);
    }
  });

  test('is reported without stopping the copy when Edge and Core together exceed the item limit', async () => {
    await project.copy();
    const [item] = await project.tables.scan();
    const fill = (length: number) => {
      const trait = { M: { trait_key: { S: 'large' }, trait_value: { S: 'x'.repeat(length) } } };
      return { ...item!, identity_traits: { L: [trait] } };
    };
    await project.stores.edge.identities.putIfUnchanged(fill(MAX_ITEM_BYTES - itemBytes(fill(0))), item);
    const settings = { ...project.settings, onConflict: 'CoreWins' as const };
    const { positions, finished } = await project.copy({ settings: () => settings });
    expect(finished).toBe(true);
    expect(positions[0]!.totals.skippedByReason).toMatchObject({ DocumentTooLarge: 1 });
    expect(positions[0]!.totals.counts).toMatchObject({ read: 300, unchanged: 293, skipped: 7 });
  });

  test('gets the traits that it lacks if it was created on Edge', async () => {
    await project.copy();
    await change(environmentKey(), { ...elsewhere, django_id: { NULL: true } }, 2);
    expect(countsOf(await project.copy())).toMatchObject({ merged: 2, edgeBorn: 2, differing: 2 });
  });

  test('is replaced if it belongs to an identity that Core has deleted and created again', async () => {
    await project.copy();
    await change(environmentKey(), { ...elsewhere, django_id: { N: '999999' } }, 2);
    expect(countsOf(await project.copy())).toMatchObject({ replaced: 2 });
    expect(await project.compare()).toEqual(EQUAL);
  });

  test('gets its rows for local evaluation if the worker was killed before it wrote them', async () => {
    await project.copy();
    const table = project.tables.settings.environmentsV2Table;
    const rows = await project.tables.scan(table);
    for (const row of rows.slice(0, 5)) {
      await project.stores.edge.overrideRows!.delete({
        environment_id: row['environment_id']!.S!,
        document_key: row['document_key']!.S!,
      });
    }
    await project.copy();
    const keys = (items: typeof rows) => items.map((row) => row['document_key']!.S!).sort();
    expect(keys(await project.tables.scan(table))).toEqual(keys(rows));
  });
});
