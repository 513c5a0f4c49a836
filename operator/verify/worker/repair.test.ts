import type { Authority } from '@edge-migration/contract/edge-migration/verification-status.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLateWrites } from '@edge-migration/identity/edge/late-write.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { expect, test } from 'vitest';
import type { Comparer } from './comparer.ts';
import type { Comparison } from './comparison.ts';
import { createRepair } from './repair.ts';

const environment = { id: 3, name: 'main', apiKey: 'key' } as CoreEnvironment;

const left: Comparison = {
  ...{ kind: 'identity', environment, identifier: 'ada', key: 'key_ada' },
  verdict: { identity: 'differing', document: 'matched', finding: { kinds: ['differing'] } },
  pair: { environmentId: 3, core: undefined, edge: undefined, rows: undefined, onConflict: 'KeepEdge' },
};

test('a document that differs is no longer changed once Edge has become the authority', async () => {
  let authority: Authority = 'Core';
  let reads = 0;
  const get = async () => {
    reads += 1;
    throw new Error('read for a repair');
  };
  const edge = { budget: { take: async () => {} }, identities: { get } };
  const repair = createRepair({
    stores: { edge, core: { identities: { keyed: get } }, clock: systemClock } as unknown as Stores,
    comparer: { recheck: async () => [left] } as unknown as Comparer,
    authority: () => authority,
    late: createLateWrites(systemClock, 0),
    holdMs: 30_000,
    claim: async () => {},
    retrying: (work) => work(),
    clock: systemClock,
  });
  const { signal } = new AbortController();
  await expect(repair([left], signal)).rejects.toThrow('read for a repair');
  authority = 'Edge';
  const before = reads;
  expect(await repair([left], signal)).toEqual([false]);
  expect(reads).toBe(before);
});
