import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CaptureTimeoutError } from './proxy/captured-request.ts';
import type { CaptureOutcome, Field, UpstreamRequest, UpstreamResponse } from './proxy/hook.ts';
import { field, headOf } from './routes/testing.ts';
import { answer, answering, openCapture, type TestCapture, unknown } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

describe('gaps', () => {
  it.each([
    ['bodyTooLarge', undefined, 'tooLarge', 'application/json'],
    ['bodyUnreadable', '{}', 'whole', 'application/json; charset=utf-7'],
  ] as const)('%s covers the environment of the request', async (reason, body, extent, type) => {
    const begun = test.capture.begin(headOf({ request: 'POST identities/', type }), answering(200));
    await begun?.intent(body === undefined ? undefined : Buffer.from(body), extent);
    test.clock.advance(1000);
    begun?.finish(answer(200));
    expect(test.spool.gaps.list()).toEqual([
      {
        from: '2026-06-01T00:00:00.000Z',
        until: '2026-06-01T00:00:01.000Z',
        reason,
        scope: [{ clientKey: 'clientkey' }],
      },
    ]);
    expect(test.capture.counts.uncovered).toBe(1);
  });

  describe('are not opened for a caller that Core refuses', () => {
    const unreadable = 'application/json; charset=utf-7';
    const requests: [string, string | undefined, number, number][] = [
      ['POST identities/', '/api/v1/flags/?feature=edge-migration-caller-check', 403, 404],
      ['POST environments/envkey/identities/', '/api/v1/environments/envkey/', 404, 200],
      ['POST projects/42/features/31/mv-options/', '/api/v1/projects/42/', 403, 200],
      ['POST environments/envkey/identities/', '/api/v1/environments/envkey/', 401, 403],
      ['PATCH environments/envkey/', '/api/v1/environments/envkey/', 401, 404],
      ['POST features/featurestates/', '/api/v1/projects/?organisation=0', 401, 200],
    ];

    /** The gaps of a request whose body cannot be read, and the questions asked because of it. */
    async function gapsOf(
      request: string,
      outcome: CaptureOutcome,
      status: number | ((question: UpstreamRequest) => number),
      fields: readonly Field[] = [],
    ) {
      const asked: UpstreamRequest[] = [];
      const begun = test.capture.begin(headOf({ request, type: unreadable, fields }), async (question) => {
        asked.push(question);
        const answered = typeof status === 'number' ? status : status(question);
        return { status: answered, fields: [], body: Buffer.alloc(0) };
      });
      await begun?.intent(Buffer.from('{}'), 'whole');
      begun?.finish(outcome);
      await test.published();
      await test.published();
      return { gaps: test.spool.gaps.list(), asked };
    }

    it.each(requests)('%s asks for %s: no gap with %i, one with %i', async (request, target, refusal, allowed) => {
      for (const outcome of [unknown, answer(500)]) {
        expect(await gapsOf(request, outcome, refusal)).toMatchObject({ gaps: [], asked: [{ target }] });
      }
      expect((await gapsOf(request, unknown, allowed)).gaps).toMatchObject([{ reason: 'bodyUnreadable' }]);
    });

    it.each([
      ['POST identities/', [{ name: 'X-Environment-Key', value: 'clientkey' }]],
      [
        'POST environments/envkey/identities/',
        [
          { name: 'X-Forwarded-For', value: '10.0.0.1' },
          { name: 'Authorization', value: 'Token abc' },
        ],
      ],
    ])('%s is checked by its credentials alone', async (request, credentials) => {
      const { asked } = await gapsOf(request, unknown, 403, [
        field('X-Forwarded-Host', 'no host'),
        field('X-Forwarded-For', '10.0.0.1'),
        field('X-Fill', 'x'.repeat(10_000)),
        field('Authorization', 'Token abc'),
      ]);
      expect(asked.map(({ fields }) => fields)).toEqual([[{ name: 'Host', value: 'localhost' }, ...credentials]]);
    });

    it('credentials that are malformed for the server are refused, too, unless it objects to something else', async () => {
      const request = 'POST environments/envkey/identities/';
      const malformed = [field('Authorization', 'x'.repeat(10_000))];
      const minds = ({ fields }: UpstreamRequest) => (fields.some(({ name }) => name === 'Authorization') ? 400 : 401);
      expect((await gapsOf(request, unknown, minds, malformed)).gaps).toEqual([]);
      expect((await gapsOf(request, unknown, 400, malformed)).gaps).toHaveLength(1);
    });

    it('Core is not asked where the answer decides', async () => {
      expect(await gapsOf('POST identities/', answer(403), 200)).toEqual({ gaps: [], asked: [] });
      expect(await gapsOf('POST identities/', answer(200), 403)).toMatchObject({ gaps: [{}], asked: [] });
    });

    it('a host name that Django refuses does not hide the owner of the key', async () => {
      const { asked } = await gapsOf('POST identities/', unknown, 403);
      expect(asked[0]?.fields).toContainEqual({ name: 'Host', value: 'localhost' });
    });

    it('are opened when Core does not answer, and until then no report says that all is sent', async () => {
      const { promise, reject } = Promise.withResolvers<UpstreamResponse>();
      const begun = test.capture.begin(headOf({ request: 'POST identities/', type: unreadable }), () => promise);
      await begun?.intent(Buffer.from('{}'), 'whole');
      begun?.finish(unknown);
      await test.published();
      test.clock.advance(5000);
      expect(test.spool.facts().allSentUntil).toBe(test.clock.now() - 5000);
      reject(new Error('reset'));
      await test.published();
      await test.published();
      expect(test.spool.gaps.list()).toMatchObject([{ reason: 'bodyUnreadable' }]);
      expect(test.spool.facts().allSentUntil).toBe(test.clock.now());
    });
  });

  it('are none for deep nesting when Core refuses the caller, and one of its environment when Core accepts it', async () => {
    const nested = Buffer.from('['.repeat(40 * 1024));
    for (const status of [403, 200]) {
      const begun = test.capture.begin(headOf({ request: 'POST identities/' }), answering(200));
      await begun?.intent(nested, 'whole');
      expect(test.spool.gaps.list()).toEqual([]);
      begun?.finish(answer(status));
    }
    await test.published();
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'bodyUnreadable', scope: [{ clientKey: 'clientkey' }] }]);
  });

  it('of a form of the Django admin may concern any environment', async () => {
    await test.exchange('POST /admin/environments/identity/7/change/', undefined, answer(302));
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'unnamedWrite', scope: null }]);
  });

  it('are opened for an error of our own, but not for a failed or late lookup or a late intent', () => {
    const head = headOf({ request: 'POST identities/' });
    test.capture.missed(head, 'prepare', new Error('lookup'));
    test.capture.missed(head, 'intent', new CaptureTimeoutError('late'));
    expect(test.spool.gaps.list()).toEqual([]);
    test.capture.missed(head, 'intent', new Error('bug'));
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'captureFailed', scope: [{ clientKey: 'clientkey' }] }]);
    expect(test.log).toHaveLength(3);
    expect(test.log.join()).not.toContain('clientkey');
  });
});
