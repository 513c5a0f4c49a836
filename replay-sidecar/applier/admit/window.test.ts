import { type EdgeMigration, specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { decideAdmission } from '@edge-migration/contract/edge-migration/verdict.ts';
import { SENT_HEADER } from '@edge-migration/contract/event-times.ts';
import { EVENT_SUBJECT } from '@edge-migration/contract/streams/events.ts';
import { headers } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { draft, drain, manualClock, openSpool, temporaryFolder } from '../../capture/spool/testing.ts';
import { readDelivery } from '../consume/delivery.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';

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

interface Case {
  /** Milliseconds since the epoch by NATS's clock, like all times here except the sidecar's. */
  deadline: number;
  /** The sidecar dies before the answer and comes back after this time. */
  downMs: number;
  /** How far the sidecar's clock is ahead of NATS's. */
  ahead?: number;
  /** The sidecar's release does not yet report when it sends. */
  isOlder?: boolean;
}

/** The applier's verdict on the only event of a sidecar. */
async function verdictAfterCrash({ deadline, downMs, ahead = 0, isOlder = false }: Case) {
  const clock = manualClock(0);
  clock.step(ahead);
  using folder = temporaryFolder();
  await using died = await openSpool(folder.path, { clock });
  await died.spool.begin([draft('ann')]);
  using left = temporaryFolder(folder.path);
  clock.advance(downMs);
  await using successor = await openSpool(left.path, { clock });
  const [delivery] = await drain(successor.spool);
  const fields = headers();
  if (!isOlder) fields.set(SENT_HEADER, String(clock.now()));
  const time = new Date(clock.monotonic());
  const message = { subject: EVENT_SUBJECT, data: Buffer.from(delivery?.json ?? ''), headers: fields, time };
  return decideAdmission(
    migration(deadline),
    readDelivery({ message, data: message.data } as unknown as InFlightMessage).began,
  );
}

test('a write before the deadline is applied although its sidecar died before the answer and came back late', async () => {
  expect(await verdictAfterCrash({ deadline: MINUTE, downMs: 60 * MINUTE })).toMatchObject({ kind: 'apply' });
});

test('a write after the deadline is dropped, however long its sidecar was down', async () => {
  expect(await verdictAfterCrash({ deadline: -1, downMs: 60 * MINUTE })).toMatchObject({ reason: 'windowClosed' });
});

test.for<[string, Case]>([
  ['sent at once', { deadline: MINUTE, downMs: 10 }],
  ['sent after the deadline', { deadline: MINUTE, downMs: 60 * MINUTE }],
  ['sent at once by a sidecar of an earlier release', { deadline: MINUTE, downMs: 10, isOlder: true }],
])(
  'a write in the last minute of the window is applied although its sidecar is five minutes ahead: %s',
  async ([, one]) => {
    expect(await verdictAfterCrash({ ...one, ahead: 5 * MINUTE })).toMatchObject({ kind: 'apply' });
  },
);

test('a write after the deadline is dropped although its sidecar is five minutes ahead', async () => {
  const verdict = await verdictAfterCrash({ deadline: -1, downMs: 60 * MINUTE, ahead: 5 * MINUTE });
  expect(verdict).toMatchObject({ reason: 'windowClosed' });
});
