import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { converge, type Fence } from '../converge.ts';
import type { Item } from '../edge/document/document.ts';
import type { Touched } from '../edge/merge.ts';
import { execute, insertRows } from '../fixtures/core-rows.ts';
import { createStores, type TestStores } from './stores.ts';

export const KEY = 'client-key_ada';
export const TOUCHED: Touched = { traits: new Set(['plan', 'age']), overrides: new Set() };
/** An element of a document's `identity_traits`. */
export const TRAIT = (key: string, value: Item[string]) => ({ M: { trait_key: { S: key }, trait_value: value } });

/** Gives a test file real stores and one identity, `ada`, which neither store has when a test begins. */
export function useAda() {
  const on = {} as TestStores;
  const signal = new AbortController().signal;

  beforeAll(async () => void Object.assign(on, await createStores()));
  afterAll(() => on[Symbol.asyncDispose]());
  beforeEach(async () => {
    await deleteFromCore();
    const left = await fromEdge();
    if (left !== undefined) await on.stores.edge.identities.deleteIfUnchanged(left);
  });

  const fromEdge = () => on.stores.edge.identities.get(KEY);
  const deleteFromCore = () =>
    execute(
      on.databaseUrl,
      'DELETE FROM features_featurestate; DELETE FROM environments_trait; DELETE FROM environments_identity',
    );

  return {
    on,
    fromEdge,
    deleteFromCore,
    /** Core's row of her, with the trait `plan`. */
    async putInCore(id: number, plan = 'gold') {
      await insertRows(on.databaseUrl, {
        environments_identity: [{ id, identifier: 'ada', environment_id: 1 }],
        environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: plan }],
      });
    },
    /** A document as Edge's own clients make them; `django_id` absent or null: created on Edge. */
    async putInEdge(attributes: Item = {}) {
      const item: Item = {
        composite_key: { S: KEY },
        environment_api_key: { S: 'client-key' },
        identifier: { S: 'ada' },
        identity_uuid: { S: '9b2cf0a6-3c5e-4d0f-8a4b-0c1d2e3f4a5b' },
        created_date: { S: '2024-01-01T00:00:00+00:00' },
        django_id: { NULL: true },
        identity_traits: { L: [] },
        identity_features: { L: [] },
        ...attributes,
      };
      expect(await on.stores.edge.identities.putIfUnchanged(item, undefined)).toBe('written');
      return item;
    },
    run: (touched = TOUCHED, using = on.stores, fence: Fence = {}) =>
      converge(using, { environment: on.environment, identifier: 'ada' }, touched, signal, fence),
  };
}
