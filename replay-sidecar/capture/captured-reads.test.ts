import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseRequest } from './proxy/head.ts';
import { drain, eventOf, openSpool, temporaryFolder } from './spool/testing.ts';
import { answer, answering, identifiers, openCapture, type TestCapture, unknown, WINDOW_MS } from './testing.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

describe('reads', () => {
  const read = (identifier: string) => `GET identities/?identifier=${identifier}`;
  const created = answer(200, { traits: [], flags: [] });
  const known = answer(200, { traits: [{ id: 1, trait_key: 'plan' }], flags: [] });

  it('are published at once when they may have created the identity', async () => {
    await test.exchange(read('alice'), undefined, created);
    expect(identifiers(await test.published())).toEqual(['alice']);
  });

  it('publish nothing when the answer proves that they changed nothing', async () => {
    await test.exchange(read('alice'), undefined, known);
    expect(await test.published()).toEqual([]);
    expect(test.spool.facts().open).toBe(0);
  });

  it('are published again after the window, however many there were', async () => {
    for (let count = 0; count < 5; count++) await test.exchange(read('alice'), undefined, created);
    await test.exchange(read('bob'), undefined, created);
    expect(identifiers(await test.published())).toEqual(['alice', 'bob']);
    test.capture.tick();
    expect(await test.published()).toEqual([]);
    test.clock.advance(WINDOW_MS);
    test.capture.tick();
    expect(identifiers(await test.published())).toEqual(['alice']);
    test.clock.advance(WINDOW_MS);
    test.capture.tick();
    expect(await test.published()).toEqual([]);
    expect(test.spool.facts().open).toBe(0);
  });

  it('that are held back are on disk', async () => {
    await test.exchange(read('alice'), undefined, created);
    await test.exchange(read('alice'), undefined, created);
    await test.published();
    using copy = temporaryFolder(test.path);
    await using next = await openSpool(copy.path);
    const events = (await drain(next.spool)).map(eventOf);
    expect(events.filter(({ outcome }) => outcome === 'unknown').map(({ route }) => route)).toEqual([
      'sdk.readIdentity',
    ]);
  });

  it('that overlap are covered by an intent until the last has ended', async () => {
    const [one, two] = [test.begin(read('alice')), test.begin(read('alice'))];
    await one.intent(undefined, 'whole');
    await two.intent(undefined, 'whole');
    expect(test.spool.facts().open).toBe(1);
    one.finish(created);
    expect(identifiers(await test.published())).toEqual(['alice']);
    expect(test.spool.facts().open).toBe(1);
    two.finish(known);
    await test.published();
    expect(test.spool.facts().open).toBe(0);
  });

  it('that end without an answer are published with an unknown outcome', async () => {
    await test.exchange(read('alice'), undefined, created);
    await test.exchange(read('alice'), undefined, unknown);
    await test.exchange(read('alice'), undefined, created);
    await test.published();
    test.capture.flush();
    expect((await test.published()).map(({ outcome }) => outcome)).toEqual(['unknown']);
  });

  it('do not keep their request heads in memory until the window is over', async () => {
    const fill = `X-Fill: ${'x'.repeat(500_000)}\r\n`;
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 50; index++) {
      const key = 'a-client-key-of-22-ch';
      const text = `GET /api/v1/identities/user-${index}-of-that-app/ HTTP/1.1\r\nX-Environment-Key: ${key}\r\n${fill}\r\n`;
      const begun = test.capture.begin(parseRequest(Buffer.from(text).toString('latin1')), answering(200));
      await begun?.intent(undefined, 'whole');
      begun?.finish(created);
    }
    expect(await test.published()).toHaveLength(50);
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * 1024 * 1024);
  });
});
