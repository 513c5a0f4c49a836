/** The fate of a document when its environment's client key changes (docs/design.md, "Convergence", rule 8). */
import { afterEach, describe, expect, test } from 'vitest';
import { converge, type Stores } from './converge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { shareStores } from './shared-stores.ts';
import { TOUCHED, TRAIT, useAda } from './testing/ada.ts';

const { on, fromEdge, putInCore, putInEdge, run } = useAda();
const { signal } = new AbortController();

const rename = (key: string) =>
  execute(on.databaseUrl, `UPDATE environments_environment SET api_key = '${key}' WHERE id = 1`);
/** Another environment gets the key; `identity`: with an identity `ada` of its own. */
async function takeOver(identity?: number): Promise<void> {
  const environments_environment = [{ id: 99, project_id: 1, api_key: 'client-key' }];
  await insertRows(on.databaseUrl, { environments_environment });
  if (identity === undefined) return;
  await insertRows(on.databaseUrl, {
    environments_identity: [{ id: identity, identifier: 'ada', environment_id: 99 }],
  });
}

afterEach(async () => {
  await execute(
    on.databaseUrl,
    'DELETE FROM environments_trait',
    'DELETE FROM environments_identity',
    'DELETE FROM environments_environment WHERE id = 99',
    "UPDATE environments_environment SET api_key = 'client-key', deleted_at = NULL WHERE id = 1",
  );
});

const FROM_CORE = { django_id: { N: '7' }, identity_traits: { L: [TRAIT('own', { S: 'kept' })] } };

describe.each<[string, (stores: Stores) => Stores]>([
  ['alone', (stores) => stores],
  ['with others', (stores) => shareStores(stores, { signal, isOutage: () => true })],
])('converged %s', (_, prepare) => {
  const ada = () => converge(prepare(on.stores), { environment: on.environment, identifier: 'ada' }, TOUCHED, signal);

  test('nothing is written under a key that the environment no longer has', async () => {
    await putInCore(7);
    await rename('second');
    expect(await ada()).toEqual({ outcome: 'absent', former: { holder: undefined } });
    expect(await fromEdge()).toBeUndefined();
  });

  test('under a former key, a document from Core is removed and one created on Edge stays', async () => {
    await putInCore(7);
    await putInEdge(FROM_CORE);
    await rename('second');
    expect(await ada()).toMatchObject({ outcome: 'deleted', former: {} });
    const born = await putInEdge();
    expect(await ada()).toMatchObject({ outcome: 'keptEdgeBorn', former: {} });
    expect(await fromEdge()).toEqual(born);
  });

  test('once the environment has its former key again, the document matches Core', async () => {
    await putInCore(7);
    await rename('second');
    await rename('client-key');
    expect(await ada()).toMatchObject({ outcome: 'inserted' });
    expect((await ada()).former).toBeUndefined();
  });

  test('a deleted environment has no document under its key', async () => {
    await putInCore(7);
    await putInEdge(FROM_CORE);
    await execute(on.databaseUrl, 'UPDATE environments_environment SET deleted_at = now() WHERE id = 1');
    expect(await ada()).toEqual({ outcome: 'deleted', former: { holder: undefined } });
  });

  test('documents of another environment that has the key now are left alone', async () => {
    await putInCore(7);
    await rename('second');
    await takeOver(8);
    const theirs = await putInEdge({ django_id: { N: '8' } });
    expect(await ada()).toEqual({ outcome: 'absent', former: { holder: 99 }, document: theirs });
    expect(await fromEdge()).toEqual(theirs);
  });

  test("documents of a key's present environment are left alone when the former one is gone for good", async () => {
    await rename('second');
    await takeOver();
    const theirs = await putInEdge({ django_id: { N: '8' } });
    expect(await ada()).toEqual({ outcome: 'absent', former: { holder: 99 }, document: theirs });
    expect(await fromEdge()).toEqual(theirs);
  });

  test("a document under another environment's key goes if Core proves that it is the first one's", async () => {
    await putInCore(7);
    await putInEdge(FROM_CORE);
    await rename('second');
    await takeOver();
    expect(await ada()).toEqual({ outcome: 'deleted', former: { holder: 99 } });
  });
});

test('a key that changes between read and write leaves no document behind', async () => {
  await putInCore(7);
  const { identities } = on.stores.edge;
  const renaming: Stores = {
    ...on.stores,
    edge: {
      ...on.stores.edge,
      identities: {
        ...identities,
        async putIfUnchanged(...write) {
          await rename('second');
          return identities.putIfUnchanged(...write);
        },
      },
    },
  };
  expect(await run(TOUCHED, renaming)).toMatchObject({ outcome: 'deleted', former: {} });
  expect(await fromEdge()).toBeUndefined();
});
