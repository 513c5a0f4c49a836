import type { ObjectChange } from '@edge-migration/kubernetes/reflector.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEventStreams, type Subscription } from './event-streams.ts';
import type { ProjectCache } from './projects.ts';
import type { ProjectMigration } from './summary.ts';

const KEY = 'others/project-7';

let stop: AbortController;
beforeEach(() => {
  stop = new AbortController();
});
afterEach(() => stop.abort(new Error('the test is over')));

/** A stream whose client reads everything. */
function follow(changes: Partial<Subscription>) {
  const clock = createFakeClock();
  const listeners = new Set<(change: ObjectChange<ProjectMigration>) => void>();
  const project = {} as ProjectMigration;
  const cache = {
    get: () => project,
    subscribe(listener: (change: ObjectChange<ProjectMigration>) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as ProjectCache;
  const streams = createEventStreams({ cache, clock, logger: createLogger('test', 'silent'), signal: stop.signal });
  const seen = { texts: [] as string[], cuts: 0 };
  const body = streams.open({
    caller: 'alice',
    concerns: () => true,
    maySee: async () => false,
    tell: () => ({}),
    reauthenticate: async () => undefined,
    cut: () => {
      seen.cuts += 1;
    },
    signal: new AbortController().signal,
    ...changes,
  });
  void (async () => {
    for await (const bytes of body) seen.texts.push(new TextDecoder().decode(bytes));
  })();
  const change = () => {
    for (const listener of listeners) listener({ key: KEY } as ObjectChange<ProjectMigration>);
  };
  return { clock, seen, change };
}

describe('a client that reads an event stream', () => {
  test('a reading client gets heartbeats and stays connected while only hidden projects change', async () => {
    const { clock, seen, change } = follow({});
    for (let second = 0; second < 180; second += 1) {
      change();
      await clock.advance(1_000);
    }
    const heartbeats = seen.texts.filter((text) => text.startsWith(': heartbeat'));
    expect(seen).toMatchObject({ cuts: 0 });
    expect(heartbeats.length).toBeGreaterThanOrEqual(10);
    expect(seen.texts.join('')).not.toContain('project');
  });

  test('a reading client gets heartbeats and stays connected while its rights are unknown', async () => {
    const { clock, seen } = follow({ first: KEY, maySee: () => Promise.reject(new Error('no answer')) });
    await clock.advance(180_000);
    expect(seen).toMatchObject({ cuts: 0 });
    expect(seen.texts.filter((text) => text.startsWith(': heartbeat')).length).toBeGreaterThanOrEqual(10);
  });
});

test('a client that reads nothing for a minute is disconnected', async () => {
  const clock = createFakeClock();
  let cuts = 0;
  const cache = { subscribe: () => () => {} } as unknown as ProjectCache;
  const streams = createEventStreams({ cache, clock, logger: createLogger('test', 'silent'), signal: stop.signal });
  streams.open({
    caller: 'alice',
    concerns: () => true,
    maySee: async () => true,
    tell: () => ({}),
    reauthenticate: async () => undefined,
    cut: () => {
      cuts += 1;
    },
    signal: new AbortController().signal,
  });
  await clock.advance(90_000);
  expect(cuts).toBe(1);
});
