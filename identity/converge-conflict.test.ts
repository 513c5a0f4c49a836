import { describe, expect, test } from 'vitest';
import { resolveConflict } from './converge.ts';
import { insertRows } from './fixtures/core-rows.ts';
import { TRAIT, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, fromEdge, run } = useAda();

describe('a conflict of the copy', () => {
  const { signal } = new AbortController();
  const resolve = (onConflict: 'KeepEdge' | 'CoreWins') =>
    resolveConflict(on.stores, { environment: on.environment, identifier: 'ada', onConflict }, undefined, signal);

  test('an equal document is no conflict', async () => {
    await putInCore(7);
    await run();
    expect(await resolve('KeepEdge')).toEqual({ outcome: 'equal', edgeBorn: false });
  });

  test('KeepEdge leaves a document of the same identity and reports the differences', async () => {
    await putInCore(7);
    const before = await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('plan', { S: 'free' }), TRAIT('x', { N: '1' })] },
    });
    expect(await resolve('KeepEdge')).toMatchObject({
      outcome: 'kept',
      difference: { differingTraits: 1, extraTraits: 1, missingTraits: 0, attributes: ['created_date'] },
    });
    expect(await fromEdge()).toEqual(before);
  });

  test('KeepEdge adds only missing traits to a document created on Edge', async () => {
    await putInCore(7);
    await insertRows(on.databaseUrl, {
      environments_trait: [{ id: 8, identity_id: 7, trait_key: 'age', value_type: 'int', integer_value: 36 }],
    });
    await putInEdge({ identity_traits: { L: [TRAIT('plan', { S: 'free' })] } });
    expect(await resolve('KeepEdge')).toMatchObject({ outcome: 'merged', edgeBorn: true });
    expect((await fromEdge())?.['identity_traits']).toEqual({
      L: [TRAIT('plan', { S: 'free' }), TRAIT('age', { N: '36' })],
    });
  });

  test('CoreWins sets everything that Core has and leaves what only Edge has', async () => {
    await putInCore(7);
    await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('x', { N: '1' }), TRAIT('plan', { S: 'free' })] },
    });
    expect(await resolve('CoreWins')).toMatchObject({ outcome: 'merged' });
    expect((await fromEdge())?.['identity_traits']).toEqual({
      L: [TRAIT('x', { N: '1' }), TRAIT('plan', { S: 'gold' })],
    });
  });

  test('a document of an earlier identity is replaced by either choice', async () => {
    await putInCore(9);
    await putInEdge({ django_id: { N: '7' } });
    expect(await resolve('KeepEdge')).toMatchObject({ outcome: 'replaced' });
    expect(await fromEdge()).toMatchObject({ django_id: { N: '9' } });
  });

  test('an identity that Core has deleted meanwhile is left to the event of that deletion', async () => {
    const before = await putInEdge({ django_id: { N: '7' } });
    expect(await resolve('CoreWins')).toMatchObject({ outcome: 'gone' });
    expect(await fromEdge()).toEqual(before);
  });
});
