import { placeSubject } from '@edge-migration/contract/parked-place.ts';
import { ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, EVENT_SUBJECT, ensureStreams } from '@edge-migration/contract/streams/events.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { useJetStream } from '@edge-migration/test/cluster/jetstream.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import { beforeAll, expect, test } from 'vitest';
import { readTransit } from './in-flight-events.ts';

const on = useJetStream();
beforeAll(() =>
  ensureStreams(on.manager, { streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 }),
);

const publish = async (...subjects: string[]) => {
  for (const subject of subjects) await jetstream(on.connection, { timeout: 60_000 }).publish(subject, '{}');
};
const park = (projectId: number, reason: 'overflow' | 'suspended') =>
  publish(placeSubject({ projectId, reason, retry: '-' }));

test('nothing is under way before any applier has run', async () => {
  const transit = await readTransit(on.manager, systemClock);
  expect(transit).toMatchObject({ firstSequence: 1, lastSequence: 0 });
  expect([transit.parked(1), transit.underWay(1)]).toEqual([0, 0]);
});

test('derived events are counted by project, and those of an unknown project count for every project', async () => {
  await ensureApplierStreams(on.manager, { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30 });
  await publish(EVENT_SUBJECT, derivedSubject(1), derivedSubject(1), derivedSubject(2));
  let transit = await readTransit(on.manager, systemClock);
  expect(transit).toMatchObject({ firstSequence: 1, lastSequence: 4 });
  expect([1, 2, 3].map((id) => transit.underWay(id))).toEqual([2, 1, 0]);
  await publish(derivedSubject(0));
  transit = await readTransit(on.manager, systemClock);
  expect([1, 2, 3].map((id) => transit.underWay(id))).toEqual([3, 2, 1]);
  for (let sequence = 1; sequence <= 5; sequence++) await on.manager.streams.deleteMessage('IDENTITY_WRITES', sequence);
  transit = await readTransit(on.manager, systemClock);
  expect(transit).toMatchObject({ firstSequence: 6, lastSequence: 5 });
  expect(transit.underWay(1)).toBe(0);
});

test('of the parked events, only those that wait for room count as under way', async () => {
  await park(1, 'suspended');
  await park(1, 'overflow');
  await park(2, 'suspended');
  const transit = await readTransit(on.manager, systemClock);
  expect([1, 2, 3].map((id) => transit.parked(id))).toEqual([2, 1, 0]);
  expect([1, 2, 3].map((id) => transit.underWay(id))).toEqual([1, 0, 0]);
});

test('events parked for repetition count as under way for their project, or for all if the project is unknown', async () => {
  const repeat = (projectId: number) => publish(placeSubject({ projectId, reason: 'repeat', retry: '', due: 1 }));
  await repeat(11);
  let transit = await readTransit(on.manager, systemClock);
  expect([11, 12].map((id) => [transit.parked(id), transit.underWay(id)])).toEqual([
    [0, 1],
    [0, 0],
  ]);
  await repeat(0);
  transit = await readTransit(on.manager, systemClock);
  expect([11, 12].map((id) => transit.underWay(id))).toEqual([2, 1]);
  await on.manager.streams.purge('IDENTITY_WRITES_PARKED', { filter: 'identity.parked.*.repeat.>' });
});

test('what was observed before the earliest event that is to be handled again is settled, although more keep coming', async () => {
  const repeat = (projectId: number, minute?: number) =>
    publish(placeSubject({ projectId, reason: 'repeat', retry: '', due: 1, ...(minute && { minute }) }));
  const NOW = 100 * 60_000;
  const settled = async (...ids: (number | undefined)[]) => {
    const transit = await readTransit(on.manager, systemClock);
    return ids.map((id) => transit.settledUntil(NOW, id));
  };
  await repeat(31, 99);
  await repeat(31, 98);
  expect((await readTransit(on.manager, systemClock)).underWay(31)).toBe(2);
  expect(await settled(31, 32)).toEqual([98 * 60_000, NOW]);
  await repeat(0, 97);
  expect(await settled(31, 32)).toEqual([97 * 60_000, 97 * 60_000]);
  expect((await readTransit(on.manager, systemClock)).settledUntil(undefined, 31)).toBeUndefined();
  // Of another release, which did not record the minute.
  await repeat(32);
  expect(await settled(31, 32)).toEqual([97 * 60_000, undefined]);
  await on.manager.streams.purge('IDENTITY_WRITES_PARKED', { filter: 'identity.parked.*.repeat.>' });
  await publish(derivedSubject(31));
  expect(await settled(31, 32)).toEqual([undefined, NOW]);
});

test('stuck events are listed by the minute, as are those that found no room', async () => {
  await publish(
    placeSubject({ projectId: 21, reason: 'poison', retry: 'v1.2', minute: 5, kib: 3 }),
    placeSubject({ projectId: 0, reason: 'poison', retry: '-', minute: 7, kib: 1, isUnreadable: true }),
    'identity.parked.0.poison.-',
    placeSubject({ projectId: 21, reason: 'excess', retry: '-', minute: 9 }),
    placeSubject({ projectId: 0, reason: 'excess', retry: '-', minute: 8 }),
  );
  const transit = await readTransit(on.manager, systemClock);
  expect(transit.failed(21)).toEqual([{ from: 300_000, isUnreadable: false, events: 1 }]);
  expect(transit.failed(0)).toEqual(
    expect.arrayContaining([
      { from: 420_000, isUnreadable: true, events: 1 },
      { from: undefined, isUnreadable: false, events: 1 },
    ]),
  );
  expect([transit.excess(21), transit.excess(22)]).toEqual([[480_000, 540_000], [480_000]]);
  expect([transit.parked(21), transit.parked(22), transit.underWay(21)]).toEqual([1, 0, 0]);
});

test('events that Edge cannot hold are listed by identity, and do not count as under way', async () => {
  const unstorable = (identityId: number, cause: string) =>
    publish(
      placeSubject({
        projectId: 5,
        reason: 'unstorable',
        retry: '',
        identity: { environmentId: 3, identityId, cause },
      }),
    );
  await unstorable(8, 'NumberTooPrecise');
  await unstorable(7, 'KeyTakenByAnother');
  await unstorable(7, 'DocumentTooLarge');
  const transit = await readTransit(on.manager, systemClock);
  expect([transit.parked(5), transit.underWay(5)]).toEqual([0, 0]);
  expect(transit.unstorable(5).map(({ identityId }) => identityId)).toEqual([7, 8]);
  expect(transit.unstorable(1)).toEqual([]);
});

test('it is never concluded that nothing is under way while events are being parked', async () => {
  const moving = Object.create(on.manager, {
    streams: {
      value: Object.create(on.manager.streams, {
        info: {
          async value(...args: Parameters<JetStreamManager['streams']['info']>) {
            const info = await on.manager.streams.info(...args);
            await park(7, 'suspended');
            return info;
          },
        },
      }),
    },
  });
  const transit = await readTransit(moving, systemClock);
  expect([transit.underWay(3), transit.settledUntil(1, 3)]).toEqual([undefined, undefined]);
  expect((await readTransit(on.manager, systemClock)).underWay(3)).toBe(0);
});
