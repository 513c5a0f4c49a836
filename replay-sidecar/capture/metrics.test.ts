import { createMetrics } from '@edge-migration/runtime/metrics.ts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { registerSpoolMetrics } from './metrics.ts';
import { createTestSpool, draft, drain, type Folder, openSpool, temporaryFolder } from './spool/testing.ts';

let folder: Folder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

it('the number of events in the spool is unknown, not 0, until what an earlier process left is read', async () => {
  await using earlier = await openSpool(folder.path);
  for (const name of ['ann', 'bob']) (await earlier.spool.begin([draft(name)])).finish({ outcome: 'known' });
  await using left = temporaryFolder(folder.path);
  await using later = createTestSpool(left.path);
  const { spool } = later;
  const metrics = createMetrics();
  registerSpoolMetrics(metrics, { spool, clock: later.clock });
  const shown = () => /^edge_migration_sidecar_spool_events (.*)$/m.exec(metrics.text())?.[1];
  expect(shown()).toBeUndefined();
  await spool.open();
  expect(shown()).toBeUndefined();
  await spool.recover();
  expect(shown()).toBe('2');
  await drain(spool);
  expect(shown()).toBe('0');
});
