/** The stream for events that are set aside is full. */

import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import { markDoubted } from '@edge-migration/replay-sidecar/applier/consume/delivery.ts';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

const WAITING = 60;
let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start({ EDGE_MIGRATION_PARKED_MAX_BYTES: String(16 * 1024) });
  await on.project(1);
  await on.project(2);
});

afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0);

test('an event that a dead process may have applied is handled again in memory, and leaves the stream', async () => {
  await on.migrate(1);
  await on.migrate(2, { suspend: true });
  await on.publish(...Array.from({ length: WAITING }, (_, index) => written(2, `filler-${index}`)));
  const left = await waitFor(
    async () => {
      const parked = sum(await on.parked());
      const depth = await on.depth();
      return parked > 5 && depth > 5 && parked + depth === WAITING && depth;
    },
    { for: 'the parking stream to be full', timeoutMs: 120_000 },
  );

  await on.rows({ environments_identity: [{ id: 1, identifier: 'ada', environment_id: 1 }] });
  const doubted = headers();
  markDoubted(doubted);
  await on.publishRaw(derivedSubject(1), JSON.stringify(written(1, 'ada')), doubted);
  await waitFor(async () => (await on.document('key-1', 'ada')) !== undefined, {
    for: 'the document',
    timeoutMs: 120_000,
  });
  await waitFor(async () => (await on.depth()) === left, { for: 'the event to leave the stream', timeoutMs: 120_000 });
  expect(Object.keys(await on.parked()).filter((subject) => subject.includes('late'))).toEqual([]);
});
