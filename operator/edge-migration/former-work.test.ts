import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createFormerWork } from './former-work.ts';
import type { Owned } from './parse.ts';
import type { PodFact } from './pods.ts';
import { migration } from './testing/facts.ts';

const BEFORE = 'uid-of-an-earlier-one';
const MINUTE = 60_000;

function pod(changes: Partial<Owned<PodFact>> = {}, fact: Partial<PodFact> = {}): Owned<PodFact> {
  const { namespace, name } = migration();
  return {
    migration: `${namespace}/${name}`,
    migrationUid: BEFORE,
    operation: 'copy',
    name: 'pod-1',
    uid: 'pod-uid',
    rootUids: [],
    fact: {
      problem: undefined,
      time: 0,
      live: true,
      workerEnded: false,
      running: ['worker'],
      goneBy: undefined,
      jobUid: 'former-job',
      ...fact,
    },
    ...changes,
  };
}

const deleted = (previous: Owned<PodFact>) => ({ type: 'deleted', key: 'key', previous }) as const;

/** Milliseconds since pods were last seen by a process that began ten minutes ago and saw this a minute ago. */
async function seenAgo(
  change: Parameters<ReturnType<typeof createFormerWork>['notice']>[0],
  jobUids: readonly string[] = [],
): Promise<number> {
  const clock = createFakeClock();
  const former = createFormerWork(clock);
  await clock.advance(10 * MINUTE);
  former.notice(change);
  await clock.advance(MINUTE);
  return clock.now() - former.lastSeen(migration(), jobUids);
}

test.each([
  ['of an EdgeMigration before, which was deleted', deleted(pod())],
  ['of its plan before, which was removed', deleted(pod({ migrationUid: migration().uid }))],
  ['of an EdgeMigration of the project in another namespace', deleted(pod({ migration: 'elsewhere/project-42' }))],
  ['that repaired', deleted(pod({ operation: 'verify-3' }))],
  ['that still runs', { type: 'added', key: 'key', object: pod() } as const],
  ['that has just ended', { type: 'updated', key: 'key', object: pod({}, { live: false }), previous: pod() } as const],
])('a pod %s may have written until it was last seen', async (_, change) => {
  expect(await seenAgo(change)).toBe(MINUTE);
});

test.each([
  ['of a Job of the present plan', deleted(pod({}, { jobUid: 'present-job' }))],
  ['that only planned', deleted(pod({ operation: 'plan' }))],
  ['that had ended long before it was removed', deleted(pod({}, { live: false }))],
  ['of another project', deleted(pod({ migration: 'customers/project-43' }))],
])('a pod %s does not count as former work', async (_, change) => {
  expect(await seenAgo(change, ['present-job'])).toBe(11 * MINUTE);
});

test('the pods of former projects are forgotten after an hour', async () => {
  const clock = createFakeClock();
  const former = createFormerWork(clock);
  for (let project = 1; project <= 1000; project++) {
    former.notice(deleted(pod({ migration: `customers/project-${project}` }, { jobUid: `job-${project}` })));
    await clock.advance(MINUTE);
  }
  expect(former.size).toBeLessThanOrEqual(61);
});
