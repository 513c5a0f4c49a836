import { setTimeout as sleep } from 'node:timers/promises';
import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { decideAdmission } from '@edge-migration/contract/edge-migration/verdict.ts';
import { decodeRemovals } from '@edge-migration/contract/reports/removals.ts';
import { ensureApplierStreams, PARKING_STREAM, REPORT_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, EVENT_SUBJECT, ensureStreams } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { useJetStream } from '@edge-migration/test/cluster/jetstream.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { jetstream } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { beforeEach, expect, test } from 'vitest';
import type { MigrationView } from '../admit/migrations.ts';
import { findHeldIn, isTried, markTried } from '../consume/delivery.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import { Parking } from './parking.ts';
import { createRemovals } from './removals.ts';

const on = useJetStream();
const makeStreams = () =>
  ensureStreams(on.manager, { streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 });

beforeEach(async () => {
  for (const stream of [STREAM, PARKING_STREAM]) await on.manager.streams.delete(stream).catch(() => {});
  await makeStreams();
  await ensureApplierStreams(on.manager, { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30 });
});

/** Checks at once instead of every two seconds, up to `most` times, and counts the checks. */
function createChecks(most: number): { clock: Clock; count(): number } {
  let checks = 0;
  const clock: Clock = {
    ...systemClock,
    async sleep(_, signal) {
      checks += 1;
      await sleep(checks < most ? 1 : 3_600_000, undefined, { signal });
    },
  };
  return { clock, count: () => checks };
}

const FOLLOWED = { conditions: [{ type: 'Accepted', status: 'True' }], copy: { startTime: '2026-06-01T00:00:00Z' } };

/** Project 7, if it is migrated, as an applier sees it. */
function createView() {
  let migration: EdgeMigration | undefined;
  const listeners = new Set<(projectId: number) => void>();
  const migrations = {
    judge: (_: number, began: number) => decideAdmission(migration, began),
    find: (projectId: number) => (projectId === 7 ? migration : undefined),
    all: () => (migration === undefined ? [] : [migration]),
    isConfirmed: () => true,
    refresh: async () => {},
    subscribe: (listener: (projectId: number) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as unknown as MigrationView;
  return {
    migrations,
    set(retry: string | undefined, status: object = {}) {
      const spec = { projectId: 7, ...(retry && { retry }) };
      migration = { spec, status: { ...FOLLOWED, ...status } } as EdgeMigration;
      for (const listener of listeners) listener(7);
    },
  };
}

const UNWATCHED = { observe() {}, publishing: () => () => {} };

/** An applier that brings events back, with two KiB for those of an unknown project. */
function start(
  { migrations }: Pick<ReturnType<typeof createView>, 'migrations'>,
  mostChecks = Number.POSITIVE_INFINITY,
) {
  const stop = new AbortController();
  const { clock, count } = createChecks(mostChecks);
  const parking = new Parking({
    ...{ connection: on.connection, migrations, pending: () => 0, roomFor: () => 10, now: Date.now },
    ...{
      unstorableRetrySeconds: 60,
      unknownRetrySeconds: 60,
      lateWriteSeconds: 65,
      recheckDelayMs: 0,
      unresolvedMaxBytes: 2048,
      unstorableMaxBytes: 2048,
    },
    witnesses: { events: UNWATCHED, parked: UNWATCHED },
    removals: createRemovals(on.connection, 'one', clock),
    ...{ clock, logger: createLogger('test', 'silent') },
  });
  const running = parking.run(stop.signal);
  return {
    parking,
    /** Resolves when it has checked twice more. */
    async checks() {
      const before = count();
      await waitFor(() => count() > before + 2, { for: 'it to check' });
    },
    /** Resolves when it has made its last check. */
    lastCheck: () => waitFor(() => count() === mostChecks, { for: 'the last check' }),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await running.catch(() => {});
    },
  };
}

const messages = async (stream: string) => (await on.manager.streams.info(stream)).state.messages;
const parked = async () => {
  const { state } = await on.manager.streams.info(PARKING_STREAM, { subjects_filter: '>' });
  return state.subjects ?? {};
};

/** A message of the stream of events, as an applier has it in flight. */
async function take(
  headerFields?: MsgHdrs,
  subject = EVENT_SUBJECT,
): Promise<Pick<InFlightMessage, 'message' | 'isDoubtful'>> {
  await jetstream(on.connection, { timeout: 60_000 }).publish(
    subject,
    '{}',
    headerFields === undefined ? {} : { headers: headerFields },
  );
  const [info] = await on.manager.consumers.list(STREAM).next();
  const consumer = jetstream(on.connection, { timeout: 60_000 }).consumers.getConsumerFromInfo(info!);
  const message = await consumer.next();
  if (message === null) throw new Error('No event came');
  await message.ackAck();
  return { message, isDoubtful: () => false };
}

/** The removals that the applier reports. */
const told = async () => {
  const message = await on.manager.direct.getMessage(REPORT_STREAM, { last_by_subj: 'replay.one~removals' });
  return message && decodeRemovals(message);
};

test('every removal from the parking stream is reported', async () => {
  const view = createView();
  view.set(undefined);
  for (const event of ['one', 'two', 'three'])
    await jetstream(on.connection, { timeout: 60_000 }).publish('identity.parked.7.overflow', event);
  await using applier = start(view);
  await waitFor(async () => (await messages(PARKING_STREAM)) === 0, { for: 'the events to go on' });
  await applier.checks();
  expect(await told()).toMatchObject({ process: 'one', removed: 3, pending: 0 });
});

test('nothing is removed from the parking stream that cannot be reported', async () => {
  const view = createView();
  view.set(undefined);
  await using applier = start(view);
  await waitFor(async () => (await told()) !== null, { for: 'the first report' });
  await on.manager.streams.delete(REPORT_STREAM);
  await jetstream(on.connection, { timeout: 60_000 }).publish('identity.parked.7.overflow', '{}');
  await applier.checks();
  expect(await messages(PARKING_STREAM)).toBe(1);
});

test('a parked event leaves its place only once the stream of events has it', async () => {
  const view = createView();
  view.set(undefined);
  await jetstream(on.connection, { timeout: 60_000 }).publish('identity.parked.7.overflow', '{}');
  await on.manager.streams.delete(STREAM);
  await using applier = start(view);
  await applier.checks();
  expect(await messages(PARKING_STREAM)).toBe(1);
  await makeStreams();
  await waitFor(async () => (await messages(PARKING_STREAM)) === 0, { for: 'it to go on' });
  expect(await messages(STREAM)).toBe(1);
});

const MINUTE = 29_671_200;
const began = MINUTE * 60_000 + 1;
const PLACE = `identity.parked.0.poison._${MINUTE}.1.-`;
const at = (minute: number) => new Date(minute * 60_000).toISOString();

test('an event of an unknown project waits under its minute, and is tried at once with a new spec.retry', async () => {
  const view = createView();
  view.set('first');
  await using applier = start(view);
  await applier.parking.park(await take(), 0, 'poison', { began, detail: 'nobody knows' });
  await applier.checks();
  // The operator is to see it first, and make a gap of it.
  view.set('drop-1');
  await applier.checks();
  expect(await parked()).toEqual({ [PLACE]: 1 });
  view.set('second');
  await waitFor(async () => (await messages(PARKING_STREAM)) === 0, { for: 'it to go on' });
  expect(await messages(STREAM)).toBe(1);
});

test('an event of an unknown project is dropped by a token once the status has a gap, and when no project migrates', async () => {
  const view = createView();
  view.set('drop-1', {
    observedRetry: 'drop-1',
    gaps: [{ from: at(MINUTE), until: at(MINUTE), reason: 'eventsDropped' }],
  });
  await using applier = start(view);
  await applier.parking.park(await take(), 0, 'poison', { began });
  await applier.parking.park(await take(), 7, 'poison', { began });
  await applier.checks();
  expect(await parked()).toEqual({ [PLACE]: 1, [`identity.parked.7.poison._${MINUTE}.1.drop-1`]: 1 });
  const gap = { from: at(MINUTE), until: at(MINUTE + 1), reason: 'eventsDropped' };
  view.set('drop-1', { observedRetry: 'drop-1', gaps: [gap] });
  await waitFor(async () => (await messages(PARKING_STREAM)) === 0, { for: 'them to be dropped' });
  expect(await messages(STREAM)).toBe(0);
  await using other = start(createView());
  await other.parking.park(await take(), 0, 'poison', { began });
  await waitFor(async () => (await messages(PARKING_STREAM)) === 0, { for: 'it to be dropped' });
});

test('an event beyond the quota is not kept: one mark per minute stands for all of them', async () => {
  const view = createView();
  view.set(undefined);
  await using applier = start(view);
  for (let event = 0; event < 5; event++) await applier.parking.park(await take(), 0, 'poison', { began });
  await applier.checks();
  const waiting = { [PLACE]: 2, [`identity.parked.0.excess.${MINUTE}`]: 1 };
  expect(await parked()).toEqual(waiting);
  // An event that was retried still has its room, although there was no check since.
  const tried = headers();
  markTried(tried);
  await applier.parking.park(await take(tried, derivedSubject(0)), 0, 'poison', { began });
  expect(await parked()).toEqual({ ...waiting, [PLACE]: 3 });
  // An event that NATS had lost track of comes the same way, but was never parked.
  await applier.parking.park(await take(undefined, derivedSubject(0)), 0, 'poison', { began });
  expect(await parked()).toEqual({ ...waiting, [PLACE]: 3 });
});

test('an event that is retried is marked as such, and has its room when it comes back', async () => {
  const view = createView();
  view.set('first');
  await using applier = start(view);
  await applier.parking.park(await take(), 0, 'poison', { began });
  await applier.checks();
  view.set('second');
  await waitFor(async () => (await messages(STREAM)) === 1, { for: 'it to go on' });
  const stored = await on.manager.streams.getMessage(STREAM, { last_by_subj: derivedSubject(0) });
  expect(isTried({ subject: derivedSubject(0), headers: stored?.header })).toBe(true);
});

test('a dropped event frees its room at once, before the next check', async () => {
  const view = createView();
  const gaps = [{ from: at(MINUTE), until: at(MINUTE + 1), reason: 'eventsDropped' }];
  view.set('drop-1', { observedRetry: 'drop-1', gaps });
  for (let event = 0; event < 2; event++) await jetstream(on.connection, { timeout: 60_000 }).publish(PLACE, '{}');
  await using applier = start(view, 1);
  await applier.lastCheck();
  expect(await parked()).toEqual({});
  for (let event = 0; event < 3; event++) await applier.parking.park(await take(), 0, 'poison', { began });
  expect(await parked()).toEqual({ [PLACE]: 2, [`identity.parked.0.excess.${MINUTE}`]: 1 });
});

test('an unreadable event waits under the minute in which it first came, however often it has come', async () => {
  const view = createView();
  view.set(undefined);
  const fields = headers();
  fields.set('Edge-Migration-Stored', String(began));
  await using applier = start(view);
  await applier.parking.park(await take(fields, derivedSubject(0)), 0, 'poison');
  expect(Object.keys(await parked())).toEqual([`identity.parked.0.poison._u${MINUTE}.1.-`]);
});

test('an event that is to be handled again waits under the minute in which it began, or was stored if that was earlier', async () => {
  const view = createView();
  view.set(undefined);
  await using applier = start(view);
  for (const minutesLater of [undefined, 10, -10]) {
    const event = await take();
    const stored = event.message.time.getTime();
    const due = 4_000_000_000 + (minutesLater ?? 0);
    const time = minutesLater === undefined ? {} : { began: stored + minutesLater * 60_000 };
    await applier.parking.park(event, 7, 'repeat', { due, ...time });
    const minute = Math.floor(stored / 60_000) + Math.min(0, minutesLater ?? 0);
    expect(await parked()).toMatchObject({ [`identity.parked.7.repeat.${due}.${minute}`]: 1 });
  }
});

test('a recheck that continues still says in which region all was right before', async () => {
  const view = createView();
  view.set(undefined);
  await using applier = start(view);
  await applier.parking.park(await take(), 7, 'repeat', { began, due: 1, recheck: true, heldIn: 'eu-west-2' });
  await waitFor(async () => (await messages(STREAM)) === 1, { for: 'it to go on' });
  const stored = await on.manager.streams.getMessage(STREAM, { last_by_subj: derivedSubject(7) });
  expect(findHeldIn({ subject: derivedSubject(7), headers: stored?.header })).toBe('eu-west-2');
});
