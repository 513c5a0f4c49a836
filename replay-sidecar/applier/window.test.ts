import { type EdgeMigration, specSchema } from '@edge-migration/operator/edge-migration/api.ts';
import { expect, test } from 'vitest';
import { draft, drain, manualClock, openSpool, temporaryFolder } from '../capture/spool/testing.ts';
import { EVENT_SUBJECT } from '../stream.ts';
import type { Held } from './inbox.ts';
import { judge } from './view.ts';
import { readDelivery } from './work.ts';

const MINUTE = 60_000;

/** Copied, and followed until `deadline` (epoch milliseconds). */
function migration(deadline: number): EdgeMigration {
  const lastTransitionTime = new Date(0).toISOString();
  const condition = (type: string) => ({
    type,
    status: 'True' as const,
    reason: 'Done',
    message: '',
    lastTransitionTime,
  });
  return {
    namespace: 'customers',
    name: 'project-42',
    uid: 'uid-1',
    resourceVersion: '1',
    generation: 1,
    creationTime: lastTransitionTime,
    deleting: false,
    spec: specSchema.parse({ projectId: 42 }),
    specProblem: undefined,
    status: {
      conditions: [condition('Accepted'), condition('Copied')],
      replay: { deadline: new Date(deadline).toISOString() },
    },
  };
}

/** What the applier makes of the one event that a sidecar has, which died and came back `downMillis` later. */
async function verdictAfterCrash({ deadline, downMillis }: { deadline: number; downMillis: number }) {
  const clock = manualClock(0);
  using folder = temporaryFolder();
  await using died = await openSpool(folder.path, { clock });
  await died.spool.begin([draft('ann')]);
  using left = temporaryFolder(folder.path);
  clock.advance(downMillis);
  await using successor = await openSpool(left.path, { clock });
  const [delivery] = await drain(successor.spool);
  const message = { subject: EVENT_SUBJECT, data: Buffer.from(delivery?.json ?? ''), headers: undefined };
  return judge(migration(deadline), readDelivery({ message } as unknown as Held, clock.now()).began);
}

test('a write before the deadline whose sidecar died before it was answered, and came back after it, is applied', async () => {
  expect(await verdictAfterCrash({ deadline: MINUTE, downMillis: 60 * MINUTE })).toMatchObject({ kind: 'apply' });
});

test('a write after the deadline is dropped, however long its sidecar was down', async () => {
  expect(await verdictAfterCrash({ deadline: -1, downMillis: 60 * MINUTE })).toMatchObject({ reason: 'windowClosed' });
});
