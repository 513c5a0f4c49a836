import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMigrationView } from './migrations.ts';

const clock = createFakeClock();
/** The API server: it speaks on its own, or answers when asked. */
let server: { heardAt: number; answers: boolean; asked: number };
let stop: AbortController;
let isNeeded: boolean;

beforeEach(() => {
  server = { heardAt: clock.monotonic(), answers: true, asked: 0 };
  stop = new AbortController();
  isNeeded = false;
});

afterEach(() => stop.abort(new Error('test over')));

function start() {
  const migrations = createMigrationView(
    {
      byIndex: () => [],
      keys: () => [],
      subscribe: () => () => undefined,
      listedAge: () => 0,
      confirmedAge: () => clock.monotonic() - server.heardAt,
      async refresh() {
        server.asked += 1;
        if (!server.answers) await new Promise(() => undefined);
        server.heardAt = clock.monotonic();
      },
    },
    clock,
  );
  migrations.keepConfirmed(() => isNeeded, stop.signal).catch(() => undefined);
  return migrations;
}

test('an idle applier is able although its view is too stale to decide by, and does not list for that', async () => {
  const migrations = start();
  for (let second = 0; second < 60; second++) {
    expect(migrations.isAble()).toBe(true);
    await clock.advance(1000);
  }
  expect(migrations.isConfirmed()).toBe(false);
  expect(server.asked).toBe(0);
});

test('an event that comes after a quiet minute does not make the applier unable while the API server answers', async () => {
  const migrations = start();
  await clock.advance(60_000);
  isNeeded = true;
  expect(migrations.isAble()).toBe(true);
  await clock.advance(300);
  expect([migrations.isConfirmed(), migrations.isAble()]).toEqual([true, true]);
});

test('an applier with an event in flight is unable once the API server has not answered for ten seconds', async () => {
  server.answers = false;
  const migrations = start();
  isNeeded = true;
  await clock.advance(30_000);
  expect(migrations.isAble()).toBe(false);
});

test('an idle applier is unable once its watch has been silent for longer than any watch may be', async () => {
  const migrations = start();
  await clock.advance(181_000);
  expect(migrations.isAble()).toBe(false);
});
