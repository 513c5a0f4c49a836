/**
 * The scenarios of the protocol's model (identity/testing/protocol-model.ts) with the real code on real stores: every
 * access to a store waits until a scheduler lets it go, in an order that fast-check chooses and can repeat.
 */

import { resolveConflict, type Stores } from '@edge-migration/identity/converge.ts';
import { encodeIdentity, type Item } from '@edge-migration/identity/edge/document/document.ts';
import type { Touched } from '@edge-migration/identity/edge/merge.ts';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { shareStores } from '@edge-migration/identity/shared-stores.ts';
import { SCENARIOS } from '@edge-migration/identity/testing/protocol-model.ts';
import { createStores, type TestStores } from '@edge-migration/identity/testing/stores.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import fc, { type Scheduler } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyEvents } from './apply.ts';

const RUNS = 60;
const KEY = 'client-key_ada';
const IDENTIFIER = 'ada';
const EDGE_CLIENT = { M: { trait_key: { S: 'own' }, trait_value: { S: 'edge' } } };
const signal = new AbortController().signal;

let on: TestStores;

beforeAll(async () => {
  on = await createStores();
});
afterAll(() => on[Symbol.asyncDispose]());

const TRAIT: Touched = { traits: new Set(['plan']), overrides: new Set() };
const EXISTENCE: Touched = { traits: new Set(), overrides: new Set() };
const subject = () => ({ environment: on.environment, identifier: IDENTIFIER });

/** The same stores, with each access as one step. */
function stepwise(scheduler: Scheduler): Stores {
  const { core, edge } = on.stores;
  const { identities } = edge;
  const step = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => scheduler.scheduleFunction(work);
  return {
    ...on.stores,
    clock: { ...systemClock, sleep: async () => {} },
    core: {
      ...core,
      identities: {
        ...core.identities,
        one: step(core.identities.one),
        keyed: step(core.identities.keyed),
        keyedMany: step(core.identities.keyedMany),
        presentById: step(core.identities.presentById),
        overriddenFeatures: step(core.identities.overriddenFeatures),
      },
    },
    edge: {
      ...edge,
      identities: {
        ...identities,
        get: step(identities.get),
        getMany: step(identities.getMany),
        writeMany: step(identities.writeMany),
        putIfUnchanged: step(identities.putIfUnchanged),
        updateIfUnchanged: step(identities.updateIfUnchanged),
        deleteIfUnchanged: step(identities.deleteIfUnchanged),
        insertMany: step(identities.insertMany),
      },
    },
  };
}

const setTrait = (plan: string) =>
  `INSERT INTO environments_trait (id, identity_id, trait_key, value_type, string_value, created_date)
   SELECT 1, id, 'plan', 'unicode', '${plan}', now() FROM environments_identity
   ON CONFLICT (id) DO UPDATE SET string_value = excluded.string_value`;

/** Core's writes as in the model, and what their events touch. */
function statements(write: string, id: number): { sql: string[]; touched: Touched } {
  switch (write) {
    case 'c':
      return {
        sql: [
          `INSERT INTO environments_identity (id, identifier, environment_id, created_date, system_traits)
           VALUES (${id}, '${IDENTIFIER}', 1, now(), '{}')`,
        ],
        touched: EXISTENCE,
      };
    case 'd':
      return {
        sql: ['BEGIN; DELETE FROM environments_trait; DELETE FROM environments_identity; COMMIT'],
        touched: EXISTENCE,
      };
    case 'u':
      return { sql: ['DELETE FROM environments_trait'], touched: TRAIT };
    default:
      return { sql: [setTrait(`plan ${write}`)], touched: TRAIT };
  }
}

/** Concurrent calls overlap in the stores, so a client that was overtaken tries again. */
async function writeAsEdgeClient(): Promise<void> {
  for (let isWritten = false; !isWritten; ) {
    const found = await on.stores.edge.identities.get(KEY);
    const item: Item = found ?? {
      composite_key: { S: KEY },
      environment_api_key: { S: 'client-key' },
      identifier: { S: IDENTIFIER },
      identity_uuid: { S: '9b2cf0a6-3c5e-4d0f-8a4b-0c1d2e3f4a5b' },
      created_date: { S: '2024-01-01T00:00:00+00:00' },
      django_id: { NULL: true },
      identity_traits: { L: [] },
      identity_features: { L: [] },
    };
    const traits = [...(item['identity_traits']?.L ?? []), EDGE_CLIENT];
    const changed = { ...item, identity_traits: { L: traits } };
    isWritten = (await on.stores.edge.identities.putIfUnchanged(changed, found)) === 'written';
  }
}

async function prepare(before: string): Promise<void> {
  await execute(on.databaseUrl, 'DELETE FROM environments_trait', 'DELETE FROM environments_identity');
  const left = await on.stores.edge.identities.get(KEY);
  if (left !== undefined) await on.stores.edge.identities.deleteIfUnchanged(left);
  if (before.includes('edge')) await writeAsEdgeClient();
  if (before.includes('core')) await execute(on.databaseUrl, ...statements('c', 1).sql);
  if (before.includes('trait')) await execute(on.databaseUrl, setTrait('before'));
}

/** Whether the scenario can happen: only what exists can be deleted. */
function isPossible(writes: string, before: string): boolean {
  let present = before.includes('core');
  for (const write of writes) {
    if (write === 'e') continue;
    if (present === (write === 'c')) return false;
    if (write === 'c' || write === 'd') present = write === 'c';
  }
  return true;
}

interface Variant {
  /** Every event comes twice. */
  isTwice: boolean;
  /** Several handlers share their reads and writes. */
  isShared: boolean;
}

/** Core's and Edge clients' writes, their events and the copy, all at once. */
async function play(scheduler: Scheduler, writes: string, { isTwice, isShared }: Variant): Promise<void> {
  const own = stepwise(scheduler);
  const using = isShared ? shareStores(own, { signal, isOutage: () => false }) : own;
  const running: Promise<unknown>[] = [];
  const copied = Promise.withResolvers<void>();
  let copying = true;

  async function handle(touched: Touched): Promise<void> {
    await scheduler.schedule(Promise.resolve());
    const { held } = await applyEvents(using, subject(), [touched], copying, signal);
    if (held[0]) {
      await copied.promise;
      await handle(touched);
    }
  }

  async function write(): Promise<void> {
    for (const [index, kind] of [...writes].entries()) {
      if (kind === 'e') {
        await scheduler.scheduleFunction(writeAsEdgeClient)();
        continue;
      }
      const { sql, touched } = statements(kind, index + 2);
      await scheduler.scheduleFunction(() => execute(on.databaseUrl, ...sql))();
      for (let times = isTwice ? 2 : 1; times > 0; times--) running.push(handle(touched));
    }
  }

  async function copy(): Promise<void> {
    const place = { environmentId: 1, identifier: IDENTIFIER };
    const identity = await using.core.identities.one(place, signal);
    const encoded = identity && encodeIdentity(identity, on.environment);
    if (encoded?.kind === 'document') {
      const [outcome] = await using.edge.identities.insertMany([encoded]);
      if (outcome === 'exists') {
        await resolveConflict(using, { ...subject(), onConflict: 'KeepEdge' }, undefined, signal);
      }
    }
    copying = false;
    copied.resolve();
  }

  running.push(copy(), write());
  let waited = 0;
  while (waited < running.length) await scheduler.waitFor(running[waited++]!);
}

test('in any order of steps Edge ends up as Core says, and what Edge clients wrote stays', {
  timeout: 600_000,
}, async () => {
  const befores = ['', 'core', 'core trait', 'edge', 'edge core', 'edge core trait'] as const;
  const cases = befores.flatMap((before) =>
    SCENARIOS.filter((writes) => isPossible(writes, before)).map((writes) => ({ before, writes })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom(...cases),
      fc.record({ isTwice: fc.boolean(), isShared: fc.boolean() }),
      async (scheduler, { before, writes }, variant) => {
        await prepare(before);
        await play(scheduler, writes, variant);
        const edge = await on.stores.edge.identities.get(KEY);
        const djangoId = edge?.['django_id']?.N;
        const place = { environmentId: 1, identifier: IDENTIFIER };
        const identity = await on.stores.core.identities.one(place, signal);
        if (identity === undefined) expect(djangoId).toBeUndefined();
        else {
          expect(edge).toBeDefined();
          if (djangoId !== undefined) expect(djangoId).toBe(String(identity.id));
          if (djangoId !== undefined || /[12u]/.test(writes)) {
            const plan = edge?.['identity_traits']?.L?.find(({ M }) => M?.['trait_key']?.S === 'plan');
            expect(plan?.M?.['trait_value']?.S).toBe(identity.traits[0]?.value);
          }
          if (writes.endsWith('e')) expect(edge?.['identity_traits']?.L).toContainEqual(EDGE_CLIENT);
        }
      },
    ),
    { numRuns: RUNS },
  );
});
