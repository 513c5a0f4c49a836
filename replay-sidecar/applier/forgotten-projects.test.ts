import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createCounts } from './report/counts.ts';
import { createLagHistogram } from './report/metrics.ts';
import { createProjectAborts } from './schedule/project-aborts.ts';
import { createProjectRateLimiter } from './schedule/project-rate-limiter.ts';
import { followRetries } from './settle/follow-retries.ts';

const PROJECTS = 1000;

/** EdgeMigrations that come and go. */
function createMigrations() {
  const living = new Map<number, EdgeMigration>();
  const listeners = new Set<(projectId: number) => void>();
  const change = (projectId: number, migration?: EdgeMigration) => {
    if (migration === undefined) living.delete(projectId);
    else living.set(projectId, migration);
    for (const listener of listeners) listener(projectId);
  };
  return {
    change,
    all: () => [...living.values()],
    find: (projectId: number) => living.get(projectId),
    judge: (projectId: number) =>
      living.has(projectId)
        ? ({ kind: 'apply', copying: false } as const)
        : ({ kind: 'drop', reason: 'noMigration' } as const),
    subscribe(listener: (projectId: number) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

const migration = (projectId: number, retry: string) => ({ spec: { projectId, retry } }) as unknown as EdgeMigration;

test('what would stop the work for a project goes with its EdgeMigration, even when work begins just then', () => {
  const migrations = createMigrations();
  const stop = new AbortController();
  const aborts = createProjectAborts(migrations, stop.signal);
  for (let projectId = 1; projectId <= PROJECTS; projectId++) {
    migrations.change(projectId, migration(projectId, 'a'));
    const signal = aborts.of(projectId);
    expect(signal.aborted).toBe(false);
    migrations.change(projectId);
    expect(signal.aborted).toBe(true);
    expect(aborts.of(projectId).aborted).toBe(true);
  }
  expect(aborts.size).toBe(0);
  aborts.close();
});

test('the last retry of a project goes with its EdgeMigration, and another one is noticed', () => {
  const migrations = createMigrations();
  let asked = 0;
  using retries = followRetries(migrations, () => asked++);
  for (let projectId = 1; projectId <= PROJECTS; projectId++) {
    migrations.change(projectId, migration(projectId, 'a'));
    migrations.change(projectId, migration(projectId, 'b'));
    migrations.change(projectId);
  }
  expect(asked).toBe(PROJECTS);
  expect(retries.size).toBe(0);
});

test("a project's counts and lag are reported for as long as they are kept", async () => {
  const registry = new Registry();
  const counts = createCounts();
  const lag = createLagHistogram(registry);
  for (let projectId = 1; projectId <= PROJECTS; projectId++) {
    counts.of(projectId).failed += 1;
    lag.observe(projectId, 1);
  }
  const isKept = (projectId: number) => projectId === 7;
  counts.keep(isKept);
  lag.keep(isKept);
  expect([...counts.projects.keys()]).toEqual([7]);
  const told = (await registry.metrics()).matchAll(/lag_seconds_count\{project="(\d+)"\}/g);
  expect([...told].map(([, project]) => project)).toEqual(['7']);
});

test('a project that has paid for its writes is forgotten, whether or not it is asked about', async () => {
  const clock = createFakeClock();
  const limiter = createProjectRateLimiter(() => 1000, clock);
  for (let projectId = 1; projectId <= PROJECTS; projectId++) {
    limiter.charge(projectId, 1);
    await clock.advance(10);
  }
  expect(limiter.size).toBeLessThan(3);
});
