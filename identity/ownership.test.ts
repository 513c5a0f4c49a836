/** Environments `client-key` and `client-key_b` give their identities `b_x` and `x` the same composite key. */
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { converge, resolveConflict, type Stores, type Subject } from './converge.ts';
import type { Item } from './edge/document/document.ts';
import type { Touched } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { repair } from './repair.ts';
import { shareStores } from './shared-stores.ts';
import { TRAIT, useAda } from './testing/ada.ts';

const { on, deleteFromCore } = useAda();
const { signal } = new AbortController();
const KEY = 'client-key_b_x';
const ALL: Touched = { traits: 'all', overrides: 'all', moved: true };

/** Another project's environment's data under the key. */
const THEIRS: Item = {
  composite_key: { S: KEY },
  environment_api_key: { S: 'client-key_b' },
  identifier: { S: 'x' },
  identity_uuid: { S: '11111111-2222-4333-8444-555555555555' },
  created_date: { S: '2024-01-01T00:00:00+00:00' },
  django_id: { N: '50' },
  identity_traits: { L: [TRAIT('plan', { S: 'theirs' })] },
  identity_features: { L: [] },
};

const ours = (changes: Partial<Subject> = {}): Subject => ({
  environment: on.environment,
  identifier: 'b_x',
  ...changes,
});
const fromEdge = () => on.stores.edge.identities.get(KEY);
const rows = () => on.tables.scan(on.tables.settings.environmentsV2Table);

async function putInCore(id = 7): Promise<void> {
  await insertRows(on.databaseUrl, {
    environments_identity: [{ id, identifier: 'b_x', environment_id: 1 }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: 'gold' }],
  });
}

async function putInEdge(item: Item): Promise<void> {
  expect(await on.stores.edge.identities.putIfUnchanged(item, undefined)).toBe('written');
}

beforeEach(async () => {
  const left = await fromEdge();
  if (left !== undefined) await on.stores.edge.identities.deleteIfUnchanged(left);
  for (const row of await rows()) {
    const [environment_id = '', document_key = ''] = [row['environment_id']?.S, row['document_key']?.S];
    await on.stores.edge.overrideRows?.delete({ environment_id, document_key });
  }
});

describe("another identity's document under the same key", () => {
  const TAKEN = { outcome: 'unstorable', skipped: { identityId: 7, reason: 'KeyTakenByAnother' } };
  const override = { id: 31, uuid: randomUUID(), identity_id: 7, feature_id: 5 };
  const feature = { M: { feature: { M: { id: { N: '5' } } }, enabled: { BOOL: true } } };

  test.each<[what: string, theirs: Item]>([
    ['of another identity of Core', THEIRS],
    ['with the same Core id', { ...THEIRS, django_id: { N: '7' } }],
    ['born on Edge', { ...THEIRS, django_id: { NULL: true } }],
    ['with overrides', { ...THEIRS, identity_features: { L: [feature] } }],
    ['without environment and identifier', withoutNames(THEIRS)],
  ])("another identity's document %s is left alone by any write in Core", async (_, theirs) => {
    await putInCore();
    await insertRows(on.databaseUrl, { features_featurestate: [override] });
    await putInEdge(theirs);
    expect(await converge(on.stores, ours(), ALL, signal)).toMatchObject(TAKEN);
    await execute(
      on.databaseUrl,
      `UPDATE environments_environment SET api_key = 'another' WHERE id = ${on.environment.id}`,
    );
    expect(await converge(on.stores, ours(), ALL, signal)).toEqual({ outcome: 'absent', former: {} });
    await execute(
      on.databaseUrl,
      `UPDATE environments_environment SET api_key = '${on.environment.apiKey}' WHERE id = ${on.environment.id}`,
    );
    await execute(on.databaseUrl, "UPDATE environments_trait SET value_type = 'float', float_value = 'infinity'");
    expect(await converge(on.stores, ours(), ALL, signal)).toMatchObject({ outcome: 'unstorable' });
    await deleteFromCore();
    expect(await converge(on.stores, ours(), ALL, signal)).toEqual({ outcome: 'absent' });
    expect(await fromEdge()).toEqual(theirs);
    expect(await rows()).toEqual([]);
  });

  test.each(['KeepEdge', 'CoreWins'] as const)(
    "another identity's document is left alone by the copy, and nothing is taken over from it: %s",
    async (onConflict) => {
      await putInCore();
      await putInEdge(THEIRS);
      const outcome = await resolveConflict(on.stores, { ...ours(), onConflict }, THEIRS, signal);
      expect(outcome).toEqual({ ...TAKEN, skipped: expect.objectContaining(TAKEN.skipped), edgeBorn: false });
      expect(await fromEdge()).toEqual(THEIRS);
    },
  );

  test("another identity's document is left alone by a repair, whatever was found", async () => {
    await putInCore();
    await putInEdge({ ...THEIRS, identity_features: { L: [feature] } });
    const all = { missing: [], changed: ['plan'], extra: [], irregular: 1 };
    const difference = { traits: all, overrides: all, attributes: ['created_date'], foreign: [] };
    const found = { kinds: ['malformed', 'differing'] as const, difference, rows: { missing: ['5'], changed: ['5'] } };
    await repair(on.stores, ours(), found, signal);
    expect(await fromEdge()).toEqual({ ...THEIRS, identity_features: { L: [feature] } });
    expect(await rows()).toEqual([]);
  });
});

describe('a document that appears under the key between our read and our write', () => {
  const LIKE_OURS: Item = { ...THEIRS, django_id: { NULL: true }, identity_traits: { L: [] } };
  const OURS: Item = { ...LIKE_OURS, environment_api_key: { S: 'client-key' }, identifier: { S: 'b_x' } };

  /** Ours is removed and theirs, equal except for its owner, created right before the first write. */
  function interrupt(stores: Stores): Stores {
    let pending = true;
    const change = async () => {
      if (!pending) return;
      pending = false;
      await on.stores.edge.identities.deleteIfUnchanged(OURS);
      await putInEdge(LIKE_OURS);
    };
    const { identities, commit } = stores.edge;
    const edge = {
      ...stores.edge,
      identities: {
        ...identities,
        async updateIfUnchanged(...values: Parameters<typeof identities.updateIfUnchanged>) {
          await change();
          return identities.updateIfUnchanged(...values);
        },
        async writeMany(...values: Parameters<typeof identities.writeMany>) {
          await change();
          return identities.writeMany(...values);
        },
      },
      commit:
        commit &&
        (async (...values: Parameters<typeof commit>) => {
          await change();
          return commit(...values);
        }),
    };
    return { ...stores, edge };
  }

  test('a document of another identity that just appeared is not updated', async () => {
    await putInCore();
    await putInEdge(OURS);
    expect(await converge(interrupt(on.stores), ours(), ALL, signal)).toMatchObject({ outcome: 'unstorable' });
    expect(await fromEdge()).toEqual(LIKE_OURS);
  });

  test('a document of another identity that just appeared is not updated together with override rows', async () => {
    await putInCore();
    await insertRows(on.databaseUrl, {
      features_feature: [{ id: 5, name: 'banner' }],
      features_featurestate: [{ id: 31, identity_id: 7, feature_id: 5 }],
    });
    await putInEdge(OURS);
    expect(await converge(interrupt(on.stores), ours(), ALL, signal)).toMatchObject({ outcome: 'unstorable' });
    expect(await fromEdge()).toEqual(LIKE_OURS);
    expect(await rows()).toEqual([]);
  });

  test('a document of another identity that just appeared is not updated by a batched write', async () => {
    await putInCore();
    await insertRows(on.databaseUrl, { environments_identity: [{ id: 8, identifier: 'other', environment_id: 1 }] });
    const born: Item = { ...OURS, django_id: { N: '7' } };
    await putInEdge(born);
    const theirs = { ...LIKE_OURS, django_id: { N: '7' } };
    let pending = true;
    const { identities } = on.stores.edge;
    const edge = {
      ...on.stores.edge,
      identities: {
        ...identities,
        async writeMany(...values: Parameters<typeof identities.writeMany>) {
          if (pending && values[0].length > 1) {
            pending = false;
            await identities.deleteIfUnchanged(born);
            await putInEdge(theirs);
          }
          return identities.writeMany(...values);
        },
      },
    };
    const shared = shareStores({ ...on.stores, edge }, { signal, isOutage: () => false });
    const touched: Touched = { traits: new Set(['plan']), overrides: new Set() };
    const [mine, other] = await Promise.all([
      converge(shared, ours(), touched, signal),
      converge(shared, ours({ identifier: 'other' }), touched, signal),
    ]);
    expect(pending).toBe(false);
    expect([mine.outcome, other.outcome]).toEqual(['unstorable', 'inserted']);
    expect(await fromEdge()).toEqual(theirs);
    await identities.deleteIfUnchanged((await identities.get('client-key_other'))!);
  });
});

test.each(['environment_api_key', 'identifier'])(
  'a document that lost its %s still counts as ours: key and the other attribute prove it',
  async (name) => {
    await putInCore();
    const damaged: Item = { ...THEIRS, environment_api_key: { S: 'client-key' }, identifier: { S: 'b_x' } };
    delete damaged[name];
    await putInEdge({ ...damaged, django_id: { N: '7' } });
    expect(await converge(on.stores, ours(), ALL, signal)).toMatchObject({ outcome: 'updated' });
    await deleteFromCore();
    expect(await converge(on.stores, ours(), ALL, signal)).toMatchObject({ outcome: 'deleted' });
  },
);

function withoutNames({ environment_api_key: _, identifier: __, ...rest }: Item): Item {
  return rest;
}
