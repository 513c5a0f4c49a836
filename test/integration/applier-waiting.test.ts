/** Parked events that wait until their fate is decided. */
import { parsePlace } from '@edge-migration/contract/parked-place.ts';
import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import { listWaiting } from '@edge-migration/replay-sidecar/waiting-events/list.ts';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { COPIED, createHarness, type Harness, written } from './applier/harness.ts';

const QUOTA_BYTES = 4096;
let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start({ EDGE_MIGRATION_UNRESOLVED_MAX_BYTES: String(QUOTA_BYTES) });
  await on.project(1);
});

afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

const eventually = (what: string, condition: () => Promise<boolean>) =>
  waitFor(condition, { for: what, timeoutMs: 120_000 });
/** A write by a server key that Core does not know. */
const unknown = (letter: string) =>
  written(1, 'ada', {
    target: { kind: 'identity', environment: { serverKeySha256: letter.repeat(64) }, identifier: 'ada' },
  });
const parkedAs = async (reason: string) =>
  Object.keys(await on.parked()).filter((subject) => parsePlace(subject)?.reason === reason);
const lastParked = async () =>
  (await on.manager.streams.getMessage('IDENTITY_WRITES_PARKED', { last_by_subj: 'identity.parked.0.poison.>' }))?.seq;

test('an event whose project cannot be determined is dropped while no project migrates', async () => {
  await on.publish(unknown('a'));
  await on.drained();
  await eventually('nothing to wait', async () => (await on.poison(0)).length === 0);
});

test('a parked event is retried at once when spec.retry of a migration changes', async () => {
  await on.migrate(1);
  await on.publish(unknown('b'));
  await eventually('it to wait', async () => (await on.poison(0)).length === 1);
  const [waiting, ...others] = await listWaiting(on.manager, 10);
  expect(others).toEqual([]);
  expect(waiting).toMatchObject({ projectId: 0, why: 'Core has no environment of this key', route: 'test' });
  expect(JSON.stringify(waiting)).not.toMatch(/ada|bbb/);
  const before = await lastParked();
  await on.migrate(1, { retry: 'now' });
  await eventually('it to have been tried', async () => (await lastParked()) !== before);
  await eventually('it to wait again', async () => (await on.poison(0)).length === 1);
});

test('a parked event is dropped when that is requested and the status has a gap for it', async () => {
  const [subject = ''] = await parkedAs('poison');
  const minute = (parsePlace(subject)?.minute ?? 0) * 60_000;
  const at = (time: number) => new Date(time).toISOString();
  const status = {
    observedRetry: 'drop-1',
    copy: { startTime: at(minute - 60_000) },
    gaps: [{ from: at(minute), until: at(minute + 60_000), reason: 'eventsDropped' }],
  };
  await on.migrate(1, { retry: 'drop-1' }, COPIED, status);
  await eventually('nothing to wait', async () => (await on.poison(0)).length === 0);
});

test('parked events without room are dropped, and one mark a minute replaces them', { timeout: 600_000 }, async () => {
  const minuteOf = () => Math.floor(Date.now() / 60_000);
  const from = minuteOf();
  await on.migrate(1, { retry: 'another' });
  // Events stored during a check may count twice until the next one, and leave room for fewer: so more are sent.
  await eventually('as many to wait as have room', async () => {
    await on.publish(...Array.from('0123456789cdef', unknown));
    await on.drained();
    return (await on.poison(0)).length * 1024 === QUOTA_BYTES;
  });
  await on.publish(unknown('e'), unknown('f'));
  await on.drained();
  expect((await on.poison(0)).length * 1024).toBe(QUOTA_BYTES);
  const marks = await parkedAs('excess');
  expect(marks.length).toBeGreaterThanOrEqual(1);
  expect(marks.length).toBeLessThanOrEqual(minuteOf() - from + 1);
  for (const mark of marks) expect((await on.parked())[mark]).toBe(1);
});

test('an unreadable event is parked under the minute of its first delivery, however often it is delivered', async () => {
  const stored = '1780272030000';
  const fields = headers();
  fields.set('Edge-Migration-Stored', stored);
  await on.endMigration(1);
  await eventually('nothing to wait', async () => Object.keys(await on.parked()).length === 0);
  await on.migrate(1);
  await on.publishRaw(derivedSubject(0), 'no event', fields);
  await eventually(
    'it to wait',
    async () => (await parkedAs('poison')).join() === 'identity.parked.0.poison._u29671200.1.-',
  );
});
