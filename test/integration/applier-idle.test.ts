/** Idle appliers, for longer than the API server's silence between two bookmarks. */
import { REPORT_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

let on: Harness;

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
});

test('two idle appliers constantly report that they may apply, and so does one that gets a single event', {
  timeout: 600_000,
}, async () => {
  await on.project(1);
  await on.migrate(1);
  const stops = ['one', 'two'].map((name) => on.start({ EDGE_MIGRATION_INSTANCE: name }));
  try {
    await waitFor(async () => (await on.reports()).length === 2, { for: 'both to report', timeoutMs: 120_000 });
    const unable = new Set<string>();
    let isPublished = false;
    const isOld = async () => {
      const reports = await on.reports();
      for (const { instance, confirmed, time } of reports) if (!confirmed) unable.add(`${instance} ${time}`);
      const ages = reports.map(({ time, startedTime }) => Date.parse(time) - Date.parse(startedTime));
      if (Math.min(...ages) > 30_000 && !isPublished) {
        isPublished = true;
        await on.publish(written(1, 'ann'));
      }
      return Math.min(...ages) > 45_000;
    };
    await waitFor(isOld, { for: 'a long quiet time', timeoutMs: 120_000, intervalMs: 500 });
    expect([...unable]).toEqual([]);
    expect(await on.depth()).toBe(0);
  } finally {
    await Promise.all(stops.map((stop) => stop()));
  }
});

test('an applier recreates the stream of its reports when it is deleted', { timeout: 600_000 }, async () => {
  const stop = on.start({ EDGE_MIGRATION_INSTANCE: 'three' });
  try {
    const reports = async () => {
      const all = await on.reports().catch(() => []);
      return all.some(({ instance }) => instance === 'three');
    };
    await waitFor(reports, { for: 'the first report', timeoutMs: 120_000 });
    await on.manager.streams.delete(REPORT_STREAM);
    await waitFor(reports, { for: 'a report in the new stream', timeoutMs: 120_000 });
  } finally {
    await stop();
  }
});
