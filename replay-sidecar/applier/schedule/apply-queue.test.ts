import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { describe, expect, test } from 'vitest';
import { derivedHeaders, markRecheck, type Work } from '../consume/delivery.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import { type ApplyQueueOptions, createApplyQueue } from './apply-queue.ts';
import { createProjectRateLimiter } from './project-rate-limiter.ts';

const WINDOW = 1000;
const environment = { id: 1, name: '', apiKey: 'key', allowClientTraits: true, useV2FeatureVersioning: false };

let sequence = 0;
function createWork(projectId: number, bytes = 300): Work {
  sequence += 1;
  const message = {
    seq: sequence,
    subject: 'identity.writes.event',
    data: new Uint8Array(bytes),
  } as unknown as InFlightMessage['message'];
  const held: InFlightMessage = {
    message,
    data: message.data,
    delivered: 0,
    left: () => 30_000,
    doubt() {},
    settle() {},
    isDoubtful: () => false,
    isShared: () => false,
    isOpen: () => true,
    ack() {},
    nak() {},
  };
  const touched = { traits: new Set<string>(), overrides: new Set<string>() };
  const identifier = `person-${sequence}`;
  const resolution = { kind: 'identity', projectId, environment, isGone: false, identifier, touched } as const;
  const observed = 0;
  return { held, began: 0, observed, resolution, cursor: undefined, event: {} as Work['event'] };
}

/** What is applied stays under way until `finish`. */
function createSlow(options: Partial<ApplyQueueOptions> = {}) {
  const running: { projectId: number; end: () => void }[] = [];
  const waiting = createApplyQueue({
    ...{ concurrency: 4, projectConcurrency: 4, window: WINDOW, clock: systemClock },
    ...{ rateLimiter: { isOpen: () => true }, isShared: () => true },
    apply(projectId) {
      const { promise, resolve } = Promise.withResolvers<void>();
      running.push({ projectId, end: resolve });
      return promise;
    },
    ...options,
  });
  const fill = (projectId: number, bytes?: number) => {
    let count = 0;
    for (; !waiting.isFull(projectId); count++) waiting.add(createWork(projectId, bytes));
    return count;
  };
  return { waiting, fill, running };
}

test('an event that is being applied is in flight until it is done, so that the lag shows what a store holds up', async () => {
  const { waiting, running } = createSlow();
  waiting.add(createWork(1));
  expect(running).toHaveLength(1);
  expect(waiting.inHand()).toEqual(new Map([[1, { events: 1, oldestObserved: 0 }]]));
  running[0]?.end();
  await waiting.stop();
  expect(waiting.inHand().size).toBe(0);
});

/** The same as a recheck, or waiting, on tables of several regions. */
function asLook({ held, ...rest }: Work): Work {
  const fields = derivedHeaders(undefined);
  markRecheck(fields);
  Object.assign(held.message, { subject: derivedSubject(rest.resolution.projectId), headers: fields });
  return { held, ...rest };
}

test('a recheck of what was applied long ago is in flight, but does not count as lag', async () => {
  const { waiting, running } = createSlow();
  waiting.add(asLook(createWork(1)));
  expect(waiting.inHand()).toEqual(new Map([[1, { events: 1, oldestObserved: undefined }]]));
  waiting.add({ ...createWork(1), observed: 7 });
  expect(waiting.inHand()).toEqual(new Map([[1, { events: 2, oldestObserved: 7 }]]));
  for (const { end } of running) end();
  await waiting.stop();
});

test('the documents of an environment that wait to be listed in the home region count as lag, though they wait as rechecks do', async () => {
  const { waiting, running } = createSlow();
  const { resolution, ...rest } = asLook(createWork(1));
  waiting.add({ ...rest, resolution: { ...resolution, kind: 'environment' } as Work['resolution'] });
  expect(waiting.inHand()).toEqual(new Map([[1, { events: 1, oldestObserved: 0 }]]));
  for (const { end } of running) end();
  await waiting.stop();
});

describe('room for events in flight', () => {
  test('is shared so that each of several busy projects gets half of what the others leave, with room for one more', () => {
    const { fill, waiting } = createSlow();
    const counts = [1, 2, 3, 4].map((projectId) => fill(projectId));
    expect(counts).toEqual([501, 250, 125, 63]);
    expect(waiting.isFull(5)).toBe(false);
  });

  test('is taken by a large event as by several', () => {
    expect(createSlow().fill(1, 40_000)).toBe(51);
    expect(createSlow().waiting.roomFor(1)).toBe(500);
  });

  test('goes entirely to a project that is alone', () => {
    const { waiting } = createSlow({ isShared: () => false });
    for (let count = 0; count < WINDOW; count++) waiting.add(createWork(1));
    expect(waiting.isFull(1)).toBe(false);
  });

  test('is free again when something is done', async () => {
    const { waiting, fill, running } = createSlow();
    fill(1);
    for (const { end } of running.splice(0)) end();
    await waiting.stop();
    expect(waiting.isFull(1)).toBe(false);
  });
});

test('identities of two environments that have the same key in Edge are applied separately', async () => {
  const applied: (readonly [apiKey: string, identifier: string])[][] = [];
  const waiting = createApplyQueue({
    ...{ concurrency: 1, projectConcurrency: 1, window: WINDOW, clock: systemClock },
    ...{ rateLimiter: { isOpen: () => true }, isShared: () => true },
    async apply(_, works) {
      applied.push(
        works.flatMap(({ resolution }) =>
          resolution.kind === 'identity' ? [[resolution.environment.apiKey, resolution.identifier] as const] : [],
        ),
      );
    },
  });
  for (const [id, apiKey, identifier] of [
    [1, 'key', 'b_x'],
    [2, 'key_b', 'x'],
    [1, 'key', 'b_x'],
  ] as const) {
    const work = createWork(1);
    const resolution = { ...work.resolution, environment: { ...environment, id, apiKey }, identifier };
    waiting.add({ ...work, resolution } as Work);
  }
  await expect.poll(() => applied.flat()).toHaveLength(3);
  await waiting.stop();
  for (const batch of applied) expect(new Set(batch.map((place) => place.join(' '))).size).toBe(1);
});

describe('write units of one project', () => {
  test('are spent at its limit on average, while other projects go on', () => {
    let now = 0;
    const clock = { ...systemClock, monotonic: () => now };
    const allowance = createProjectRateLimiter((projectId) => (projectId === 1 ? 100 : undefined), clock);
    for (const projectId of [1, 2]) allowance.charge(projectId, 300);
    expect([1, 2].map(allowance.isOpen)).toEqual([false, true]);
    now = 2999;
    expect(allowance.isOpen(1)).toBe(false);
    now = 3000;
    expect(allowance.isOpen(1)).toBe(true);
    let spent = 0;
    for (const start = now; now < start + 60_000; now += 10) {
      if (!allowance.isOpen(1)) continue;
      allowance.charge(1, 30);
      spent += 30;
    }
    expect(spent).toBe(6000);
  });

  test('are unlimited once the limit is lifted', () => {
    let limit: number | undefined = 1;
    const allowance = createProjectRateLimiter(() => limit, systemClock);
    allowance.charge(1, 1_000_000);
    expect(allowance.isOpen(1)).toBe(false);
    limit = undefined;
    expect(allowance.isOpen(1)).toBe(true);
  });

  test('beyond its limit make its events wait, but not those of other projects', async () => {
    const open = new Set([2]);
    const stop = new AbortController();
    const { waiting, running } = createSlow({ rateLimiter: { isOpen: (projectId) => open.has(projectId) } });
    for (let count = 0; count < 10; count++) waiting.add(createWork(1));
    waiting.add(createWork(2));
    expect(running.map(({ projectId }) => projectId)).toEqual([2]);
    open.add(1);
    const begun = waiting.run(stop.signal).catch((error: unknown) => error);
    await expect.poll(() => running.length).toBe(4);
    stop.abort('over');
    expect(await begun).toBe('over');
  });
});
