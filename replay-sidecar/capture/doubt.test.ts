import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { headOf } from './routes/testing.ts';
import { openSpool, temporaryFolder } from './spool/testing.ts';
import { answer, answering, openCapture, type TestCapture } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

/** The next sidecar's report if this one is killed now; the state of its spool is on disk when this resolves. */
async function gapsAfterKill() {
  await test.spool.tick();
  using copy = temporaryFolder(test.path);
  const { path } = copy;
  const next = await openSpool(path, { clock: test.clock });
  const gaps = next.spool.gaps.list();
  await next[Symbol.asyncDispose]();
  // A third one finds no more than the second reported.
  await using third = await openSpool(path, { clock: test.clock });
  expect(third.spool.gaps.list()).toEqual(gaps);
  expect(third.spool.facts()).toMatchObject({ open: 0, depth: 0 });
  return gaps;
}

const ENVIRONMENT = [{ clientKey: 'clientkey' }];
const utf7 = 'application/json; charset=utf-7';
const CASES = [
  ['a body beyond the limit', { request: 'POST identities/' }, undefined, 'tooLarge', 'bodyTooLarge', ENVIRONMENT],
  [
    'a body that cannot be read',
    { request: 'POST identities/', type: utf7 },
    '{}',
    'whole',
    'bodyUnreadable',
    ENVIRONMENT,
  ],
  [
    'a write that no event can name',
    { request: 'POST /admin/environments/identity/7/change/' },
    '',
    'whole',
    'unnamedWrite',
    null,
  ],
  [
    'a route that is not known',
    { request: 'POST identities/alice/segments/' },
    '{}',
    'whole',
    'unknownRoute',
    ENVIRONMENT,
  ],
] as const;

describe('a sidecar that is killed during a request that no event covers', () => {
  it.each(CASES)('leaves a gap: %s', async (_, head, body, extent, reason, scope) => {
    const begun = test.capture.begin(headOf(head), answering(200));
    await begun?.intent(body === undefined ? undefined : Buffer.from(body), extent);
    test.clock.advance(1000);
    const [from, until] = ['2026-06-01T00:00:00.000Z', '2026-06-01T00:00:01.000Z'];
    expect(await gapsAfterKill()).toEqual([{ from, until, reason, scope }]);
  });

  it.each(CASES)('leaves no gap once the API has refused the request: %s', async (_, head, body, extent) => {
    const begun = test.capture.begin(headOf(head), answering(403));
    await begun?.intent(body === undefined ? undefined : Buffer.from(body), extent);
    begun?.finish(answer(403));
    await test.published();
    expect(await gapsAfterKill()).toEqual([]);
  });

  it.each(['clientGone', 'reset', 'timeout', 'stopped'] as const)(
    'has already reported what came of it: %s',
    async (why) => {
      const begun = test.begin('POST identities/alice/segments/');
      await begun.intent(undefined, 'whole');
      begun.finish({ kind: 'unknown', why });
      await test.published();
      expect(test.spool.gaps.list()).toMatchObject([{ reason: 'unknownRoute', scope: ENVIRONMENT }]);
      expect(test.spool.facts().open).toBe(0);
    },
  );

  it('leaves what was noted in the same second: an existing gap had grown', async () => {
    await test.exchange('POST identities/alice/segments/', {}, answer(201));
    await test.published();
    test.clock.advance(5000);
    await test.exchange('POST identities/bob/segments/', {}, answer(201));
    await new Promise((resolve) => setImmediate(resolve));
    // The write that this one waits for goes to the disk together with earlier ones.
    await test.begin('POST identities/').intent(Buffer.from('{"identifier": "alice"}'), 'whole');
    using copy = temporaryFolder(test.path);
    await using next = await openSpool(copy.path, { clock: test.clock });
    expect(next.spool.gaps.list()).toMatchObject([
      { from: '2026-06-01T00:00:00.000Z', until: '2026-06-01T00:00:05.000Z' },
    ]);
  });

  it('leaves a gap while a long body is read', async () => {
    const traits = Array.from({ length: 20_000 }, (_, index) => ({ trait_key: `key-${index}`, trait_value: 'x' }));
    const begun = test.begin('POST identities/');
    const noted = begun.intent(Buffer.from(JSON.stringify({ traits, identifier: 'alice' })), 'whole');
    // It is on disk before the first part is.
    expect(await gapsAfterKill()).toMatchObject([{ reason: 'bodyUnreadable', scope: ENVIRONMENT }]);
    await noted;
    begun.finish(answer(400));
    while (test.spool.facts().open > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await gapsAfterKill()).toEqual([]);
  });
});
