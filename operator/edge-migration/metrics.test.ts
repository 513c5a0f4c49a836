import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { CaptureFact } from './facts.ts';
import { registerMigrationMetrics } from './metrics.ts';
import { noStream } from './stream.ts';
import { checkpoint, job, NOON, twoRanges, visitedFacts, work } from './testing/facts.ts';

const gap = { from: NOON - 60_000, reason: 'spoolFull', podName: 'api-1' };
const capture: CaptureFact = {
  kind: 'observed',
  covered: false,
  reason: 'GapOpen',
  message: 'the sidecar of pod api-1 misses writes',
  gaps: [
    { ...gap, until: NOON },
    { ...gap, until: undefined },
  ],
  speaking: ['api-1'],
  allSentUntil: NOON,
};

function copying() {
  const checkpoints = [checkpoint(0, { read: 300, inserted: 290, skipped: 10 }, { skippedByReason: { Broken: 10 } })];
  const facts = visitedFacts({ work: work({ ranges: twoRanges, jobs: [job()], checkpoints }) });
  const status = { ...decide(facts).status, replay: { deadline: '2026-05-04T13:00:00Z', lagSeconds: 7 } };
  return { ...facts.migration, status };
}

async function scrape(stream: typeof noStream, now = NOON): Promise<string[]> {
  const registry = new Registry();
  registerMigrationMetrics(registry, { migrations: { list: () => [copying()] }, stream, clock: { now: () => now } });
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('the metrics show the status of every migration', async () => {
  const lines = await scrape(noStream, NOON + 600_000);
  const labels = '{namespace="customers",project_id="42"}';
  expect(lines).toEqual(
    expect.arrayContaining([
      'edge_migrations{condition="Copied",status="False"} 1',
      'edge_migrations{condition="Copied",status="True"} 0',
      'edge_migration_condition{namespace="customers",project_id="42",condition="Copied",status="False",reason="Copying"} 1',
      `edge_migration_copy_identities${labels} 1000`,
      `edge_migration_copy_identities_read${labels} 300`,
      `edge_migration_copy_progress_timestamp_seconds${labels} ${NOON / 1000}`,
      'edge_migration_skipped_identities{namespace="customers",project_id="42",reason="Broken"} 10',
      `edge_migration_replay_lag_seconds${labels} 7`,
      `edge_migration_replay_seconds_to_deadline${labels} 3000`,
    ]),
  );
});

test('an installation without capture has no series that look like a broken capture', async () => {
  const lines = await scrape(noStream);
  expect(lines).toContain('edge_migration_capture_required 0');
  expect(lines.filter((line) => /coverage|covered|appliers|reachable/.test(line))).toEqual([]);
});

test('coverage, gaps and appliers are exported as last seen, and as unknown while the stream is unreachable', async () => {
  const seen = await scrape({ ...noStream, capture: () => capture, appliers: () => 2 });
  expect(seen).toEqual(
    expect.arrayContaining([
      'edge_migration_capture_required 1',
      'edge_migration_capture_covered 0',
      'edge_migration_stream_reachable 1',
      'edge_migration_coverage_gaps 2',
      'edge_migration_coverage_gaps_open 1',
      'edge_migration_appliers 2',
    ]),
  );
  const away = await scrape({
    ...noStream,
    capture: () => ({ kind: 'unknown', reason: 'StreamUnreachable', message: 'refused' }),
  });
  expect(away).toContain('edge_migration_stream_reachable 0');
  expect(away.filter((line) => /gaps|appliers|covered/.test(line))).toEqual([]);
});
