import { describe, expect, test } from 'vitest';
import type { Touched } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { KEY, TOUCHED, TRAIT, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, deleteFromCore, fromEdge, run } = useAda();

describe('converging one identity', () => {
  test('converging inserts the whole document where Edge has none, and does nothing the second time', async () => {
    await putInCore(7);
    expect(await run()).toMatchObject({ outcome: 'inserted' });
    expect(await fromEdge()).toMatchObject({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('plan', { S: 'gold' })] },
    });
    expect(await run()).toMatchObject({ outcome: 'unchanged' });
  });

  test('converging sets what was touched, removes it where Core has none, and leaves everything else', async () => {
    await putInCore(7);
    const untouched = TRAIT('theme', { S: 'dark' });
    await putInEdge({
      django_id: { N: '7' },
      dashboard_alias: { S: 'ada l.' },
      identity_traits: { L: [TRAIT('age', { N: '36' }), untouched, TRAIT('plan', { S: 'free' })] },
    });
    expect(await run()).toMatchObject({ outcome: 'updated' });
    expect(await fromEdge()).toMatchObject({
      dashboard_alias: { S: 'ada l.' },
      identity_traits: { L: [untouched, TRAIT('plan', { S: 'gold' })] },
    });
  });

  test('converging keeps a document created on Edge marked as such', async () => {
    await putInCore(7);
    await putInEdge({ identity_traits: { L: [TRAIT('theme', { S: 'dark' })] } });
    expect(await run()).toMatchObject({ outcome: 'updated' });
    expect(await fromEdge()).toMatchObject({ django_id: { NULL: true } });
    await deleteFromCore();
    expect(await run()).toMatchObject({ outcome: 'keptEdgeBorn' });
  });

  test('converging replaces the document of a re-created identity, and keeps its links', async () => {
    await putInCore(8);
    const { identity_uuid } = await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('old', { BOOL: true })] },
    });
    expect(await run({ traits: new Set(), overrides: new Set() })).toMatchObject({ outcome: 'replaced' });
    expect(await fromEdge()).toMatchObject({
      django_id: { N: '8' },
      identity_uuid,
      identity_traits: { L: [TRAIT('plan', { S: 'gold' })] },
    });
  });

  test('converging a re-created identity keeps the attributes of the legacy version of global tables', async () => {
    await putInCore(8);
    const replicated = { 'aws:rep:deleting': { BOOL: false }, 'aws:rep:updateregion': { S: 'us-east-2' } };
    await putInEdge({ ...replicated, django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'replaced' });
    expect(await fromEdge()).toMatchObject({ ...replicated, django_id: { N: '8' } });
  });

  test('converging adds missing traits to a document created on Edge when a rename moves the identity', async () => {
    await putInCore(7);
    const theirs = [TRAIT('age', { N: '36' }), TRAIT('theme', { S: 'dark' })];
    await insertRows(on.databaseUrl, {
      environments_trait: [{ id: 8, identity_id: 7, trait_key: 'age', value_type: 'int', integer_value: 35 }],
    });
    const moved: Touched = { traits: new Set(), overrides: new Set(), moved: true };
    await putInEdge({ identity_traits: { L: theirs } });
    expect(await run({ ...moved, moved: false })).toMatchObject({ outcome: 'unchanged' });
    expect(await run(moved)).toMatchObject({ outcome: 'updated' });
    expect((await fromEdge())?.['identity_traits']).toEqual({ L: [...theirs, TRAIT('plan', { S: 'gold' })] });
    expect(await run(moved)).toMatchObject({ outcome: 'unchanged' });
  });

  test('converging leaves a document of this identity to its clients if it was created after the rename', async () => {
    await putInCore(7);
    const before = await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('plan', { S: 'theirs' })] },
    });
    const moved: Touched = { traits: new Set(), overrides: new Set(), moved: true };
    expect(await run(moved)).toMatchObject({ outcome: 'unchanged' });
    expect(await fromEdge()).toEqual(before);
  });

  test("converging sets nothing in another identity's document that took the place with the same traits", async () => {
    await putInCore(7);
    await putInEdge({ django_id: { N: '7' } });
    const { identities } = on.stores.edge;
    const killed = async (...[key, change, expected]: Parameters<typeof identities.updateIfUnchanged>) => {
      await identities.updateIfUnchanged(KEY, { set: { django_id: { N: '8' } } }, {});
      await identities.updateIfUnchanged(key, change, expected);
      throw new Error('killed before it could look at Core again');
    };
    const edge = { ...on.stores.edge, identities: { ...identities, updateIfUnchanged: killed } };
    await expect(run(TOUCHED, { ...on.stores, edge })).rejects.toThrow('killed');
    expect(await fromEdge()).toMatchObject({ django_id: { N: '8' }, identity_traits: { L: [] } });
  });

  test('converging deletes what Core has deleted, and reports when neither store has it', async () => {
    await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'deleted' });
    expect(await run()).toMatchObject({ outcome: 'absent' });
  });

  test('converging leaves the document when Core has a value that Edge cannot store, and names it', async () => {
    await putInCore(7);
    await execute(on.databaseUrl, "UPDATE environments_trait SET value_type = 'float', float_value = 'infinity'");
    const before = await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'unstorable', skipped: { identityId: 7 } });
    expect(await fromEdge()).toEqual(before);
  });
});
