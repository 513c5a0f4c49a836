/** Core gets values that Edge cannot store while its writes are followed. */
import { describe, expect, test } from 'vitest';
import type { Item } from './edge/document/document.ts';
import { itemBytes, MAX_ITEM_BYTES } from './edge/document/size.ts';
import type { Touched } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { TRAIT, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, deleteFromCore, fromEdge, run } = useAda();

const ALL: Touched = { traits: 'all', overrides: 'all' };
const traits = (...keys: string[]): Touched => ({ traits: new Set(keys), overrides: new Set() });
const traitsIn = (item: Item | undefined) =>
  Object.fromEntries(
    (item?.['identity_traits']?.L ?? []).map(({ M }) => [
      M?.['trait_key']?.S,
      M?.['trait_value']?.S ?? M?.['trait_value']?.N,
    ]),
  );

/** Sets a trait of hers in Core, as text. */
async function set(key: string, text: string): Promise<void> {
  const id = { plan: 7, age: 8, note: 9, more: 10 }[key];
  await execute(on.databaseUrl, `DELETE FROM environments_trait WHERE id = ${id}`);
  await insertRows(on.databaseUrl, {
    environments_trait: [{ id, identity_id: 7, trait_key: key, value_type: 'unicode', string_value: text }],
  });
}

/** Text that Flagsmith stores as a number, of more digits than DynamoDB has. */
const DIGITS = '123456789012345678901234567890123456789';

describe('a trait that Edge cannot store', () => {
  test.each([
    ['39 digits', DIGITS, 'NumberTooPrecise'],
    ['beyond its numbers', `1${'0'.repeat(200)}`, 'NumberOutOfRange'],
    ['a fraction beyond its numbers', `1${'0'.repeat(200)}.5`, 'NumberOutOfRange'],
  ])(
    'a trait with %s keeps its old value, others are followed, and all agree once it is repaired',
    async (_, value, reason) => {
      await putInCore(7);
      await set('age', '36');
      await run(ALL);
      await set('plan', value);
      await set('age', '37');
      const expected = {
        outcome: 'unstorable',
        skipped: { identityId: 7, reason },
        pending: { traits: new Set(['plan']) },
      };
      expect(await run(ALL)).toMatchObject(expected);
      expect(traitsIn(await fromEdge())).toEqual({ plan: 'gold', age: '37' });
      await execute(on.databaseUrl, "DELETE FROM environments_trait WHERE trait_key = 'age'");
      expect(await run(traits('age'))).toMatchObject(expected);
      expect(traitsIn(await fromEdge())).toEqual({ plan: 'gold' });
      await set('plan', 'silver');
      expect(await run(traits('plan'))).toMatchObject({ outcome: 'updated' });
      expect(await run(ALL)).toMatchObject({ outcome: 'unchanged' });
    },
  );

  test('an unstorable trait does not cause changes to what only Edge clients have set', async () => {
    await putInCore(7);
    await putInEdge({
      django_id: { N: '7' },
      identity_traits: { L: [TRAIT('theme', { S: 'dark' }), TRAIT('plan', { S: 'free' })] },
    });
    await set('plan', DIGITS);
    await set('age', '37');
    expect(await run(traits('plan', 'age'))).toMatchObject({ outcome: 'unstorable' });
    expect(traitsIn(await fromEdge())).toEqual({ theme: 'dark', plan: 'free', age: '37' });
  });

  test('an identity with an unstorable trait that Edge lacks is not stored at all, rather than in part', async () => {
    await putInCore(7, DIGITS);
    expect(await run()).toMatchObject({ outcome: 'unstorable', pending: { traits: 'all', overrides: 'all' } });
    expect(await fromEdge()).toBeUndefined();
    await set('plan', 'gold');
    expect(await run(traits('plan'))).toMatchObject({ outcome: 'inserted' });
  });

  test('an unstorable trait delays neither a deletion nor the replacement of a re-created identity', async () => {
    await putInCore(7, DIGITS);
    await putInEdge({ django_id: { N: '5' } });
    expect(await run()).toMatchObject({ outcome: 'unstorable' });
    expect(await fromEdge()).toBeUndefined();
    await putInEdge({ django_id: { N: '7' } });
    await deleteFromCore();
    expect(await run()).toMatchObject({ outcome: 'deleted' });
  });
});

test('an unstorable override keeps its old state, and the others are followed, including their rows', async () => {
  await putInCore(7);
  await insertRows(on.databaseUrl, {
    features_feature: [5, 6].map((id) => ({ id, name: `feature-${id}` })),
    features_featurestate: [5, 6].map((id) => ({ id, identity_id: 7, feature_id: id, enabled: true })),
  });
  await run(ALL);
  await execute(on.databaseUrl, 'UPDATE features_featurestate SET enabled = false');
  await insertRows(on.databaseUrl, {
    multivariate_multivariatefeatureoption: [{ id: 5, feature_id: 5, type: 'unicode', string_value: 'a' }],
    multivariate_multivariatefeaturestatevalue: [
      { id: 5, feature_state_id: 5, multivariate_feature_option_id: 5, percentage_allocation: 150 },
    ],
  });
  const enabled = async (items: readonly (Item[string] | undefined)[]) =>
    Object.fromEntries(items.map((state) => [state?.M?.['feature']?.M?.['id']?.N, state?.M?.['enabled']?.BOOL]));
  expect(await run(ALL)).toMatchObject({ outcome: 'unstorable', pending: { overrides: new Set(['5']) } });
  expect(await enabled((await fromEdge())?.['identity_features']?.L ?? [])).toEqual({ 5: true, 6: false });
  const rows = await on.tables.scan(on.tables.settings.environmentsV2Table);
  expect(await enabled(rows.map((row) => row['feature_state']))).toEqual({ 5: true, 6: false });
  await execute(on.databaseUrl, 'DELETE FROM multivariate_multivariatefeaturestatevalue');
});

describe('a document that would be too large', () => {
  const LARGE = 2000;
  /** Edge's document, with enough own data that only this many bytes are left. */
  async function fill(left: number, ...own: ReturnType<typeof TRAIT>[]): Promise<void> {
    const before = (await fromEdge())!;
    const item = (length: number): Item => ({
      ...before,
      identity_traits: {
        L: [...(before['identity_traits']?.L ?? []), ...own, TRAIT('filler', { S: 'f'.repeat(length) })],
      },
    });
    const filler = item(MAX_ITEM_BYTES - left - itemBytes(item(0)));
    expect(await on.stores.edge.identities.putIfUnchanged(filler, before)).toBe('written');
  }

  test('an oversized document takes the smallest changes that fit, and the rest when there is room', async () => {
    await putInCore(7);
    await run(ALL);
    await fill(LARGE);
    await set('note', 'n'.repeat(LARGE));
    await set('age', '36');
    await set('plan', 'p');
    const expected = {
      outcome: 'unstorable',
      skipped: { reason: 'DocumentTooLarge' },
      pending: { traits: new Set(['note']) },
    };
    expect(await run(traits('note', 'age', 'plan'))).toMatchObject(expected);
    expect(traitsIn(await fromEdge())).toMatchObject({ age: '36', plan: 'p' });
    expect(await run(traits('note'))).toMatchObject(expected);
    const now = (await fromEdge())!;
    const smaller = { L: now['identity_traits']!.L!.filter(({ M }) => M?.['trait_key']?.S !== 'filler') };
    await on.stores.edge.identities.updateIfUnchanged('client-key_ada', { set: { identity_traits: smaller } }, {});
    expect(await run(traits('note'))).toMatchObject({ outcome: 'updated' });
    expect(traitsIn(await fromEdge())).toEqual({ plan: 'p', age: '36', note: 'n'.repeat(LARGE) });
  });

  test('an oversized document shrinks where Core has removed something, regardless of what does not fit', async () => {
    await putInCore(7);
    await set('age', '36');
    await run(ALL);
    await fill(100);
    await execute(on.databaseUrl, "DELETE FROM environments_trait WHERE trait_key = 'age'");
    await set('note', 'n'.repeat(LARGE));
    expect(await run(traits('note', 'age'))).toMatchObject({ outcome: 'unstorable' });
    const found = traitsIn(await fromEdge());
    expect([found['age'], found['note'], found['plan']]).toEqual([undefined, undefined, 'gold']);
  });
});
