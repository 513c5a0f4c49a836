import { derivedSubject, STREAM, streamSettings } from '@edge-migration/contract/streams/events.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ReportedStream } from './reported-stream.ts';

const { signal } = new AbortController();
const settings = z.object({ ...natsSettings, ...streamSettings });

/** NATS whose stream of events has these messages under the subjects of derived events. */
function createManager(read: () => { first: number; last: number; derived: Record<string, number>; now: number }) {
  const info = async (name: string) => {
    const { first, last, derived, now } = read();
    const time = new Date(now).toISOString();
    const isEvents = name === STREAM;
    const state = {
      ...{ messages: isEvents ? last - first + 1 : 0, first_seq: first, last_seq: isEvents ? last : 0 },
      ...{ first_ts: time, last_ts: time, subjects: isEvents ? derived : {} },
    };
    return { config: { name }, created: 'then', ts: time, state };
  };
  return { streams: { info }, direct: { getBatch: async () => [] } } as unknown as JetStreamManager;
}

test('what was taken from the stream is known no earlier than where it has gone', async () => {
  const clock = createFakeClock();
  let events = { first: 1, last: 1, derived: {}, now: clock.now() };
  const write = Promise.withResolvers<boolean>();
  const writing = Promise.withResolvers<void>();
  const writes: (() => Promise<boolean>)[] = [
    async () => true,
    () => {
      writing.resolve();
      return write.promise;
    },
  ];
  const view = new ReportedStream({
    nats: settings.parse({ natsServers: 'nats://nowhere', streamMaxBytes: 64 * 1024 ** 2 }),
    pods: () => [],
    staticCount: 0,
    freshSeconds: 60,
    readProjects: async () => new Map(),
    usage: { readEnvironments: async () => new Map(), isMigrated: () => false },
    record: { read: async () => ({ record: undefined, version: undefined }), write: () => writes.shift()!() },
    neededSince: () => undefined,
    clock,
    logger: createLogger('test', 'silent'),
  });
  const manager = createManager(() => ({ ...events, now: clock.now() }));
  const refresh = () => view['refresh'](manager, {} as JetStreamClient, signal);
  await refresh();
  expect(view.replay(7)).toMatchObject({ takenUntil: undefined, underWay: 0 });

  // The event has become a derived one; then the API server is slow to take the record.
  events = { ...events, first: 2, last: 2, derived: { [derivedSubject(7)]: 1 } };
  await clock.advance(50_000);
  const refreshing = refresh();
  await writing.promise;
  expect(view.replay(7)).toMatchObject({ takenUntil: undefined, underWay: 0, settledUntil: undefined });
  write.resolve(true);
  await refreshing;
  expect(view.replay(7)).toMatchObject({ takenUntil: expect.any(Number), underWay: 1, settledUntil: undefined });
});
