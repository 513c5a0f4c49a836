import { createDatabase, dynamodb, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from './clock.ts';
import { ConvergenceContention, converge, resolveConflict, type Stores } from './converge.ts';
import { type Core, openCore } from './core/database.ts';
import type { CoreEnvironment } from './core/identity.ts';
import { readProject } from './core/projects.ts';
import { readRelease } from './core/release.ts';
import type { Item } from './edge/document.ts';
import type { Touched } from './edge/merge.ts';
import { openEdge } from './edge/table.ts';
import { execute, insertRows, ONE_PROJECT } from './fixtures/core-rows.ts';

let database: TestDatabase;
let tables: TestTables;
let core: Core;
let stores: Stores;
let environment: CoreEnvironment;
const signal = new AbortController().signal;

const KEY = 'client-key_ada';
const TRAIT = (key: string, value: Item[string]) => ({ M: { trait_key: { S: key }, trait_value: value } });
const TOUCHED: Touched = { traits: new Set(['plan', 'age']), overrides: new Set() };

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, { ...ONE_PROJECT, environments_environment: [{ id: 1, api_key: 'client-key' }] });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 2 });
  const release = await readRelease(core);
  environment = (await readProject(core, release, 1))?.environments[0] as CoreEnvironment;
  const access = await dynamodb();
  tables = await createTables(access);
  const edge = openEdge(tables.settings, { credentials: access.credentials });
  stores = { core, release, edge, clock: systemClock };
});

afterAll(async () => {
  stores.edge.close();
  await core.close();
  await tables.drop();
  await database.drop();
});

beforeEach(async () => {
  await deleteFromCore();
  const left = await stores.edge.identities.get(KEY);
  if (left !== undefined) await stores.edge.identities.deleteIfUnchanged(left);
});

const deleteFromCore = () =>
  execute(
    database.url,
    'DELETE FROM features_featurestate; DELETE FROM environments_trait; DELETE FROM environments_identity',
  );

/** Core's row of `ada`, with the trait `plan`. */
async function putInCore(id: number, plan = 'gold') {
  await insertRows(database.url, {
    environments_identity: [{ id, identifier: 'ada', environment_id: 1 }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: plan }],
  });
}

/** A document as Edge's own clients make them; `django_id` absent or null: born on Edge. */
async function putInEdge(attributes: Item = {}) {
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
  expect(await stores.edge.identities.putIfUnchanged(item, undefined)).toBe('written');
  return item;
}

const fromEdge = () => stores.edge.identities.get(KEY);
const run = (touched = TOUCHED, using = stores) => converge(using, { environment, identifier: 'ada' }, touched, signal);

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

  test('gives a document born on Edge the traits that it lacks when the identity came to this name by a rename', async () => {
    await putInCore(7);
    const theirs = [TRAIT('age', { N: '36' }), TRAIT('theme', { S: 'dark' })];
    await insertRows(database.url, {
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

  test('deletes what Core has deleted, and says when neither has it', async () => {
    await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'deleted' });
    expect(await run()).toMatchObject({ outcome: 'absent' });
  });

  test('leaves the document when Core holds a value that Edge cannot, and says which', async () => {
    await putInCore(7);
    await execute(database.url, "UPDATE environments_trait SET value_type = 'float', float_value = 'infinity'");
    const before = await putInEdge({ django_id: { N: '7' } });
    expect(await run()).toMatchObject({ outcome: 'unstorable', skipped: { identityId: 7 } });
    expect(await fromEdge()).toEqual(before);
  });
});

describe('with the table of overrides for local evaluation', () => {
  const FLAG = { id: 31, uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e', identity_id: 7, feature_id: 5 };
  const ALL: Touched = { traits: 'all', overrides: 'all' };
  const rows = () => tables.scan(tables.settings.environmentsV2Table);

  beforeAll(() => insertRows(database.url, { features_feature: [{ id: 5, name: 'banner' }] }));

  test('a row comes with its override, changes with it, and goes with it', async () => {
    await putInCore(7);
    await insertRows(database.url, { features_featurestate: [{ ...FLAG, enabled: true }] });
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
    await execute(database.url, 'UPDATE features_featurestate SET enabled = false');
    await run(ALL);
    expect(await rows()).toMatchObject([{ document_key, feature_state: { M: { enabled: { BOOL: false } } } }]);
    await execute(database.url, 'DELETE FROM features_featurestate');
    expect(await run(ALL)).toMatchObject({ outcome: 'updated' });
    expect(await rows()).toEqual([]);
  });

  test('a row that an aborted attempt has left out is added, and nothing is written after that', async () => {
    await putInCore(7);
    await insertRows(database.url, { features_featurestate: [FLAG] });
    await run(ALL);
    const [row] = await rows();
    await stores.edge.overrideRows?.delete({ environment_id: '1', document_key: row?.['document_key']?.S ?? '' });
    await run(ALL);
    expect(await rows()).toMatchObject([{ document_key: row?.['document_key'] }]);
    const [before] = await rows();
    expect(await run(ALL)).toMatchObject({ outcome: 'unchanged' });
    expect(await rows()).toEqual([before]);
  });

  test('rows go with the identity', async () => {
    await putInCore(7);
    await insertRows(database.url, { features_featurestate: [FLAG] });
    await run(ALL);
    await deleteFromCore();
    expect(await run(ALL)).toMatchObject({ outcome: 'deleted' });
    expect(await rows()).toEqual([]);
  });

  test('more overrides than a transaction takes are all there, and all go', async () => {
    await putInCore(7);
    const features = Array.from({ length: 150 }, (_, index) => 1000 + index);
    await insertRows(database.url, {
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

describe('while others write', () => {
  /** Something happens once, right before our first conditional write. */
  function interrupt(happen: () => Promise<unknown>): Stores {
    let pending: (() => Promise<unknown>) | undefined = happen;
    const identities = { ...stores.edge.identities };
    for (const name of ['putIfUnchanged', 'updateIfUnchanged', 'deleteIfUnchanged'] as const) {
      const original = identities[name] as (...values: unknown[]) => Promise<never>;
      Object.assign(identities, {
        async [name](...values: unknown[]) {
          const now = pending;
          pending = undefined;
          await now?.();
          return original(...values);
        },
      });
    }
    return { ...stores, edge: { ...stores.edge, identities } };
  }

  test("an Edge client's write in between is kept", async () => {
    await putInCore(7);
    await putInEdge({ django_id: { N: '7' } });
    const theirs = TRAIT('theme', { S: 'dark' });
    const clientWrites = () =>
      stores.edge.identities.updateIfUnchanged(KEY, { set: { identity_traits: { L: [theirs] } } }, {});
    expect(await run(TOUCHED, interrupt(clientWrites))).toMatchObject({ outcome: 'updated' });
    expect((await fromEdge())?.['identity_traits']).toEqual({ L: [theirs, TRAIT('plan', { S: 'gold' })] });
  });

  test('a change of Core in between ends up in Edge', async () => {
    await putInCore(7, 'free');
    const coreChanges = () => execute(database.url, "UPDATE environments_trait SET string_value = 'gold'");
    expect(await run(TOUCHED, interrupt(coreChanges))).toMatchObject({ outcome: 'updated' });
    expect((await fromEdge())?.['identity_traits']).toEqual({ L: [TRAIT('plan', { S: 'gold' })] });
  });

  test('a deletion in Core in between leaves nothing in Edge', async () => {
    await putInCore(7);
    await run(TOUCHED, interrupt(deleteFromCore));
    expect(await fromEdge()).toBeUndefined();
  });

  test('somebody who never stops writing is not waited for for ever', async () => {
    await putInCore(7);
    await putInEdge({ django_id: { N: '7' } });
    let count = 0;
    const identities = {
      ...stores.edge.identities,
      async updateIfUnchanged(...values: Parameters<typeof stores.edge.identities.updateIfUnchanged>) {
        const theirs = { L: [TRAIT('counter', { N: String(count++) })] };
        await stores.edge.identities.updateIfUnchanged(KEY, { set: { identity_traits: theirs } }, {});
        return stores.edge.identities.updateIfUnchanged(...values);
      },
    };
    const impatient = {
      ...stores,
      clock: { ...systemClock, sleep: async () => {} },
      edge: { ...stores.edge, identities },
    };
    await expect(run(TOUCHED, impatient)).rejects.toThrow(ConvergenceContention);
  });
});

describe('a conflict of the copy', () => {
  const resolve = (onConflict: 'KeepEdge' | 'CoreWins') =>
    resolveConflict(stores, { environment, identifier: 'ada', onConflict }, undefined, signal);

  test('with an equal document is none', async () => {
    await putInCore(7);
    await run();
    expect(await resolve('KeepEdge')).toEqual({ outcome: 'equal', edgeBorn: false });
  });

  test('KeepEdge leaves a document of this identity and tells how it differs', async () => {
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

  test('KeepEdge adds to a document born on Edge only the traits that it lacks', async () => {
    await putInCore(7);
    await insertRows(database.url, {
      environments_trait: [{ id: 8, identity_id: 7, trait_key: 'age', value_type: 'int', integer_value: 36 }],
    });
    await putInEdge({ identity_traits: { L: [TRAIT('plan', { S: 'free' })] } });
    expect(await resolve('KeepEdge')).toMatchObject({ outcome: 'merged', edgeBorn: true });
    expect((await fromEdge())?.['identity_traits']).toEqual({
      L: [TRAIT('plan', { S: 'free' }), TRAIT('age', { N: '36' })],
    });
  });

  test('CoreWins sets all that Core has and leaves what only Edge has', async () => {
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

  test('with a document of an earlier identity replaces it, whatever the choice', async () => {
    await putInCore(9);
    await putInEdge({ django_id: { N: '7' } });
    expect(await resolve('KeepEdge')).toMatchObject({ outcome: 'replaced' });
    expect(await fromEdge()).toMatchObject({ django_id: { N: '9' } });
  });

  test('whose identity Core has deleted meanwhile is left to the event of that deletion', async () => {
    const before = await putInEdge({ django_id: { N: '7' } });
    expect(await resolve('CoreWins')).toMatchObject({ outcome: 'gone' });
    expect(await fromEdge()).toEqual(before);
  });
});
