import { systemClock } from '@edge-migration/runtime/clock.ts';
import { describe, expect, test } from 'vitest';
import { ConvergenceContentionError, type Stores } from './converge.ts';
import { CoreUnreachableError } from './core/errors.ts';
import { execute } from './fixtures/core-rows.ts';
import { KEY, TOUCHED, TRAIT, useAda } from './testing/ada.ts';

const { on, putInCore, putInEdge, deleteFromCore, fromEdge, run } = useAda();

describe('while others write', () => {
  /** Runs something once, right before our first conditional write. */
  function interrupt(happen: () => Promise<unknown>): Stores {
    let pending: (() => Promise<unknown>) | undefined = happen;
    const identities = { ...on.stores.edge.identities };
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
    return { ...on.stores, edge: { ...on.stores.edge, identities } };
  }

  test("an Edge client's concurrent write is kept", async () => {
    await putInCore(7);
    await putInEdge({ django_id: { N: '7' } });
    const theirs = TRAIT('theme', { S: 'dark' });
    const clientWrites = () =>
      on.stores.edge.identities.updateIfUnchanged(KEY, { set: { identity_traits: { L: [theirs] } } }, {});
    expect(await run(TOUCHED, interrupt(clientWrites))).toMatchObject({ outcome: 'updated' });
    expect((await fromEdge())?.['identity_traits']).toEqual({ L: [theirs, TRAIT('plan', { S: 'gold' })] });
  });

  test('a concurrent change in Core ends up in Edge', async () => {
    await putInCore(7, 'free');
    const coreChanges = () => execute(on.databaseUrl, "UPDATE environments_trait SET string_value = 'gold'");
    expect(await run(TOUCHED, interrupt(coreChanges))).toMatchObject({ outcome: 'updated' });
    expect((await fromEdge())?.['identity_traits']).toEqual({ L: [TRAIT('plan', { S: 'gold' })] });
  });

  test('a write is reported even if Core then changed and left nothing to write, or could not be asked', async () => {
    await putInCore(7, 'free');
    const { edge } = on.stores;
    const then = (happens: () => Promise<unknown>): Stores => ({
      ...on.stores,
      edge: {
        ...edge,
        identities: {
          ...edge.identities,
          async updateIfUnchanged(...values) {
            const result = await edge.identities.updateIfUnchanged(...values);
            await happens();
            return result;
          },
        },
      },
    });
    const touch = () => execute(on.databaseUrl, 'UPDATE environments_identity SET created_date = now()');
    const writes: unknown[] = [];
    const wrote = () => void writes.push('write');
    await putInEdge({ django_id: { N: '7' } });
    expect(await run(TOUCHED, then(touch), { wrote })).toMatchObject({ outcome: 'unchanged' });
    expect(writes.length).toBe(1);
    await execute(on.databaseUrl, "UPDATE environments_trait SET string_value = 'gold'");
    const { core } = on.stores;
    let isGone = false;
    const keyed: typeof core.identities.keyed = (...values) =>
      isGone ? Promise.reject(new CoreUnreachableError('gone')) : core.identities.keyed(...values);
    const silent: Stores = {
      ...then(async () => {
        isGone = true;
      }),
      core: { ...core, identities: { ...core.identities, keyed } },
    };
    await expect(run(TOUCHED, silent, { wrote })).rejects.toThrow(CoreUnreachableError);
    expect(writes.length).toBe(2);
    await run(TOUCHED, on.stores, { wrote });
    expect(writes.length).toBe(2);
  });

  test('a concurrent deletion in Core leaves nothing in Edge', async () => {
    await putInCore(7);
    await run(TOUCHED, interrupt(deleteFromCore));
    expect(await fromEdge()).toBeUndefined();
  });

  test('converging gives up on a writer that never stops', async () => {
    await putInCore(7);
    await putInEdge({ django_id: { N: '7' } });
    let count = 0;
    const identities = {
      ...on.stores.edge.identities,
      async updateIfUnchanged(...values: Parameters<typeof on.stores.edge.identities.updateIfUnchanged>) {
        const theirs = { L: [TRAIT('counter', { N: String(count++) })] };
        await on.stores.edge.identities.updateIfUnchanged(KEY, { set: { identity_traits: theirs } }, {});
        return on.stores.edge.identities.updateIfUnchanged(...values);
      },
    };
    const interrupted = {
      ...on.stores,
      clock: { ...systemClock, sleep: async () => {} },
      edge: { ...on.stores.edge, identities },
    };
    await expect(run(TOUCHED, interrupted)).rejects.toThrow(ConvergenceContentionError);
  });
});
