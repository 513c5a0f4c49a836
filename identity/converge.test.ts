import { describe, expect, test } from 'vitest';
import type { Touched } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { KEY, TOUCHED, TRAIT, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, deleteFromCore, fromEdge, run } = useAda();

describe('converging one identity', () => {
  test('inserts the whole document where Edge has none, and finds nothing to do the second time', async () => {
    await putInCore(7);
    expect(await run()).toMatchObject({ outcome: 'inserted' });
    expect(await fromEdge()).toMatchObject({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('plan', { S: 'gold' })] },
    });
    expect(await run()).toMatchObject({ outcome: 'unchanged' });
  });

  test('sets what was touched, removes it where Core has none, and leaves everything else', async () => {
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

  test('keeps a document born on Edge born on Edge', async () => {
    await putInCore(7);
    await putInEdge({ identity_traits: { L: [TRAIT('theme', { S: 'dark' })] } });
    expect(await run()).toMatchObject({ outcome: 'updated' });
    expect(await fromEdge()).toMatchObject({ django_id: { NULL: true } });
    await deleteFromCore();
    expect(await run()).toMatchObject({ outcome: 'keptEdgeBorn' });
  });

  test('replaces the document of an identity that was deleted and created again, and keeps its links', async () => {
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

  test('replaces such a document without removing what the legacy version of global tables keeps in it', async () => {
    await putInCore(8);
    const replicated = { 'aws:rep:deleting': { BOOL: false }, 'aws:rep:updateregion': { S: 'us-east-2' } };
    await putInEdge({ ...replicated, django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'replaced' });
    expect(await fromEdge()).toMatchObject({ ...replicated, django_id: { N: '8' } });
  });

  test('gives a document born on Edge the traits that it lacks when the identity came to this name by a rename', async () => {
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

  test('leaves a document of this identity to its clients when it was made after the rename', async () => {
    await putInCore(7);
    const before = await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('plan', { S: 'theirs' })] },
    });
    const moved: Touched = { traits: new Set(), overrides: new Set(), moved: true };
    expect(await run(moved)).toMatchObject({ outcome: 'unchanged' });
    expect(await fromEdge()).toEqual(before);
  });

  test('sets nothing in the document of another identity that took the place with the same traits meanwhile', async () => {
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

  test('deletes what Core has deleted, and says when neither has it', async () => {
    await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'deleted' });
    expect(await run()).toMatchObject({ outcome: 'absent' });
  });

  test('leaves the document when Core holds a value that Edge cannot, and says which', async () => {
    await putInCore(7);
    await execute(on.databaseUrl, "UPDATE environments_trait SET value_type = 'float', float_value = 'infinity'");
    const before = await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'unstorable', skipped: { identityId: 7 } });
    expect(await fromEdge()).toEqual(before);
  });
});
