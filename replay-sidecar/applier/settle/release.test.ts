import type { ParkedSubject } from '@edge-migration/contract/parked-place.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import type { MigrationView } from '../admit/migrations.ts';
import { markRecheck } from '../consume/delivery.ts';
import { createAges } from './ages.ts';
import { Release } from './release.ts';

const SUBJECT = 'identity.parked.7.repeat.1767225610.-';
const PLACE: ParkedSubject = { projectId: 7, reason: 'repeat', retry: '', due: 1_767_225_610 };

/** A parking stream with these events, in the order in which they were parked, as one applier sees it. */
function createParked(...marks: readonly ('recheck' | 'repeat')[]) {
  const clock = createFakeClock();
  const parked = marks.map((mark, index) => {
    const header = headers();
    if (mark === 'recheck') markRecheck(header);
    return { seq: index + 1, subject: SUBJECT, header, data: new Uint8Array(), time: new Date(clock.now()) };
  }) as unknown as StoredMsg[];
  let removed = 0;
  const ages = { late: createAges(clock, 65_000), rechecks: createAges(clock, 10_000) };
  const migrations = { isConfirmed: () => true, judge: () => ({ kind: 'apply', copying: false }) };
  const getBatch = async (_: string, from: { seq: number }) =>
    parked.filter(({ seq }) => seq > removed && seq >= from.seq);
  const manager = { direct: { getBatch } } as unknown as JetStreamManager;
  /** Of the stream's clock, which is ahead. */
  const now = () => clock.now() + 180_000;
  const release = new Release({
    ...{ migrations: migrations as unknown as MigrationView, pending: () => 0, roomFor: () => 10, ages, now },
    client: { publish: async () => ({}) } as never,
    removals: {
      async remove(_, __, last) {
        removed = last;
      },
    },
    witness: { publishing: () => () => {} },
    logger: { info() {}, debug() {} } as never,
  });
  return {
    clock,
    check() {
      for (const one of Object.values(ages)) one.notice(parked.length);
      return release.releaseAll(manager, SUBJECT, PLACE, new AbortController().signal);
    },
  };
}

test('a recheck waits for the replication lag by the own clock, too, although it is due by the clock of the stream', async () => {
  const { clock, check } = createParked('recheck');
  expect(await check()).toBe(0);
  await clock.advance(9000);
  expect(await check()).toBe(0);
  await clock.advance(1000);
  expect(await check()).toBe(1);
});

test('an event that is handled again for another reason goes on when it is due, unless it was parked after a recheck', async () => {
  const { clock, check } = createParked('repeat', 'recheck', 'repeat');
  expect(await check()).toBe(1);
  await clock.advance(10_000);
  expect(await check()).toBe(2);
});
