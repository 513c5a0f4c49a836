import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createIdleTimes } from './idle-times.ts';
import { createPodClocks } from './pod-clocks.ts';
import { createReconcile } from './reconcile.ts';
import type { Sources } from './sources.ts';
import { migration, NOON } from './testing/facts.ts';

const none = { byIndex: () => [] };

test('everything remembered of an EdgeMigration is forgotten once it is deleted', async () => {
  const clock = createFakeClock(NOON);
  const times = createIdleTimes(clock);
  const forgotten: number[] = [];
  const forget = (projectId: number) => void forgotten.push(projectId);
  const sources = {
    migrations: { get: () => undefined },
    ...{ jobs: none, configMaps: none, idleTimes: times, missingTimes: times, strandedTimes: times },
    ...{ marks: { forget }, readiness: { forget } },
  } as unknown as Sources;
  const context = { clock } as unknown as Parameters<typeof createReconcile>[0]['context'];
  const reconcile = createReconcile({ sources, context, onStatus() {} });
  for (let project = 1; project <= 100; project++) {
    const { namespace, name } = migration({ name: `project-${project}` });
    times.notice(migration({ name }), true);
    await reconcile(`${namespace}/${name}`, {
      signal: new AbortController().signal,
      logger: createLogger('test', 'silent'),
    });
  }
  expect(times.size).toBe(0);
  expect(new Set(forgotten).size).toBe(100);
});

test('the pod clocks of EdgeMigrations that were deleted during their work are forgotten', () => {
  const clocks = createPodClocks();
  let active = '';
  const byIndex = (_: string, uid: string) => (uid === active ? [{ fact: { outcome: 'active' } }] : []);
  const sources = { jobs: { byIndex }, configMaps: none } as unknown as Sources;
  for (let number = 1; number <= 100; number++) {
    active = `uid-${number}`;
    clocks.observe(sources, { uid: active });
  }
  expect(clocks.size).toBe(1);
});
