import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CaptureTimeoutError } from './proxy/captured-request.ts';
import type { CaptureOutcome, Field, RequestHead, UpstreamRequest, UpstreamResponse } from './proxy/hook.ts';
import { field, headOf } from './routes/testing.ts';
import { drain, eventOf, openSpool, temporaryFolder } from './spool/testing.ts';
import { answer, answering, identifiers, openCapture, type TestCapture, unknown } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

describe('createCapture', () => {
  it('ignores requests that cannot change identities', () => {
    expect(test.capture.begin(headOf({ request: 'GET flags/' }), answering(200))).toBeUndefined();
    expect(test.capture.begin(headOf({ request: 'GET /health/liveness/' }), answering(200))).toBeUndefined();
    expect(test.capture.counts.planned).toBe(0);
  });

  it('has a write on disk before the API can act, and publishes it after the answer', async () => {
    const begun = test.begin('POST identities/');
    expect(begun.needsBody).toBe(true);
    await begun.intent(Buffer.from('{"identifier": "alice", "traits": [{"trait_key": "plan"}]}'), 'whole');
    expect(test.spool.facts()).toMatchObject({ open: 1, depth: 0 });
    test.clock.advance(500);
    begun.finish(answer(200));
    const [event, ...others] = await test.published();
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      target: { kind: 'identity', environment: { clientKey: 'clientkey' }, identifier: 'alice' },
      touched: { traits: ['plan'], overrides: [] },
      outcome: 'known',
      route: 'sdk.identify',
      instance: 'api-1/uid-1',
      observedTime: '2026-06-01T00:00:00.500Z',
    });
  });

  it('publishes nothing for a refusal, and keeps nothing open', async () => {
    await test.exchange('POST identities/', { identifier: 'alice' }, answer(400));
    expect(await test.published()).toEqual([]);
    expect(test.spool.facts()).toMatchObject({ open: 0, depth: 0 });
  });

  describe('for a client that goes away in the middle of its request', () => {
    const cutOff: CaptureOutcome = { kind: 'unknown', why: 'clientGone' };
    const form = 'application/x-www-form-urlencoded';

    async function publishedOf(request: string, body: string, status: number, outcome: CaptureOutcome = cutOff) {
      let asked = 0;
      const begun = test.capture.begin(headOf({ request, type: form }), async () => {
        asked += 1;
        return { status, fields: [], body: Buffer.alloc(0) };
      });
      await begun?.intent(Buffer.from(body), 'cutShort');
      begun?.finish(outcome);
      const events = [...(await test.published()), ...(await test.published())];
      return { asked, events, open: test.spool.facts().open };
    }

    it.each([
      ['GET identities/?identifier=alice', '', 403],
      ['POST identities/', 'identifier=alice', 403],
      ['POST environments/invented/identities/', 'identifier=alice', 404],
      ['DELETE environments/invented/identities/7/', '', 401],
    ])('publishes nothing when Core does not know the caller: %s', async (request, body, status) => {
      expect(await publishedOf(request, body, status)).toEqual({ asked: 1, events: [], open: 0 });
    });

    it.each([
      ['GET identities/?identifier=alice', ''],
      ['POST identities/', 'identifier=alice'],
    ])('publishes an unknown outcome when Core knows the caller or does not answer: %s', async (request, body) => {
      for (const status of [404, 500]) {
        const events = identifiers((await publishedOf(request, body, status)).events);
        expect(events).toEqual(['alice']);
        test.clock.advance(60_000);
      }
    });

    it('waits for only a few seconds, however slowly Core answers', async () => {
      const { promise, reject } = Promise.withResolvers<UpstreamResponse>();
      let asked = 0;
      const call = () => {
        asked += 1;
        return promise;
      };
      for (const identifier of ['alice', 'bob']) {
        const begun = test.capture.begin(headOf({ request: 'POST identities/', type: form }), call);
        await begun?.intent(Buffer.from(`identifier=${identifier}`), 'cutShort');
        begun?.finish(cutOff);
      }
      await test.published();
      test.clock.advance(10_001);
      reject(new Error('reset'));
      const events = [...(await test.published()), ...(await test.published())];
      expect([asked, identifiers(events)]).toEqual([1, ['alice', 'bob']]);
    });

    it('asks Core nothing when it is the API that broke off', async () => {
      const { asked, events } = await publishedOf('POST identities/', 'identifier=alice', 403, unknown);
      expect([asked, identifiers(events)]).toEqual([0, ['alice']]);
    });
  });

  it('publishes that the outcome is unknown, or comes later', async () => {
    await test.exchange('POST identities/', { identifier: 'alice' }, unknown);
    await test.exchange('DELETE projects/42/', undefined, answer(204));
    await test.exchange('DELETE projects/43/', undefined, unknown);
    const outcomes = (await test.published()).map(({ outcome }) => outcome);
    expect(new Set(outcomes.slice(1))).toEqual(new Set(['background']));
    expect(outcomes[0]).toBe('unknown');
  });

  it('publishes after a crash what was under way', async () => {
    const begun = test.begin('POST identities/');
    await begun.intent(Buffer.from('{"identifier": "alice"}'), 'whole');
    using copy = temporaryFolder(test.path);
    await using next = await openSpool(copy.path);
    const events = (await drain(next.spool)).map(eventOf);
    expect(identifiers(events)).toEqual(['alice']);
    expect(events[0]?.outcome).toBe('unknown');
    begun.finish(answer(200));
  });

  it('publishes what only the answer names', async () => {
    const request = 'PATCH features/featurestates/9/';
    await test.exchange(
      request,
      { enabled: true, environment: 5 },
      answer(200, { identity: 7, feature: 31, environment: 5 }),
    );
    const [event] = await test.published();
    expect(event).toMatchObject({ target: { kind: 'identityId', identityId: 7 }, touched: { overrides: [31] } });
  });

  it('dates an event that only the answer names by the start of its request', async () => {
    const begun = test.begin('PATCH features/featurestates/9/');
    await begun.intent(Buffer.from('{"enabled": true, "environment": 5}'), 'whole');
    test.clock.advance(5000);
    expect(test.spool.facts().allSentUntil).toBe(test.clock.now() - 5000);
    begun.finish(answer(200, { identity: 7, feature: 31, environment: 5 }));
    expect(await test.published()).toMatchObject([{ beganTime: '2026-06-01T00:00:00.000Z' }]);
  });

  it('does nothing for a request that never reached the API', async () => {
    test.begin('POST identities/').finish({ kind: 'notSent' });
    expect(await test.published()).toEqual([]);
    expect(test.spool.gaps.list()).toEqual([]);
  });

  it('keeps server keys out of the spool', async () => {
    const head = headOf({ request: 'POST identities/', key: 'ser.TopSecretServerKey' });
    const begun = test.capture.begin(head, answering(200));
    await begun?.intent(Buffer.from('{"identifier": "alice"}'), 'whole');
    begun?.finish(answer(200));
    const events = await test.published();
    expect(JSON.stringify(events)).not.toContain('TopSecret');
    expect(events[0]?.target).toHaveProperty('environment.serverKeySha256');
  });
});

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

describe('lookups', () => {
  const head: RequestHead = {
    method: 'DELETE',
    target: '/api/v1/environments/envkey/identities/7/',
    version: '1.1',
    fields: [
      field('Host', 'flags.example'),
      field('Authorization', 'Token abc'),
      field('Cookie', 'jwt=x'),
      field('Content-Length', '2'),
      field('Accept-Encoding', 'gzip'),
      field('If-None-Match', '"x"'),
    ],
  };

  async function deleted(
    reply: () => Promise<UpstreamResponse>,
  ): Promise<{ asked: UpstreamRequest[]; events: WriteEvent[] }> {
    const asked: UpstreamRequest[] = [];
    const begun = test.capture.begin(head, answering(200));
    await begun?.prepare?.((request) => {
      asked.push(request);
      return reply();
    });
    await begun?.intent(undefined, 'whole');
    begun?.finish(answer(204));
    return { asked, events: await test.published() };
  }

  it('ask the API as the caller before the request is forwarded', async () => {
    const body = Buffer.from('{"id": 7, "identifier": "alice"}');
    const { asked, events } = await deleted(async () => ({ status: 200, fields: [], body }));
    expect(asked).toEqual([
      {
        method: 'GET',
        target: '/api/v1/environments/envkey/identities/7/',
        fields: [
          field('Host', 'flags.example'),
          field('Authorization', 'Token abc'),
          field('Cookie', 'jwt=x'),
          { name: 'Accept', value: 'application/json' },
        ],
      },
    ]);
    expect(identifiers(events)).toEqual(['alice']);
    expect(test.capture.counts).toMatchObject({ lookups: 1, failedLookups: 0 });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('reset'))],
    ['is refused', () => Promise.resolve({ status: 403, fields: [], body: Buffer.from('{}') })],
    ['is no JSON', () => Promise.resolve({ status: 200, fields: [], body: Buffer.from('<html>') })],
  ])('fall back to every identity of the environment when the lookup %s', async (_, reply) => {
    const { events } = await deleted(reply);
    expect(identifiers(events)).toEqual(['environment']);
    expect(test.capture.counts.failedLookups).toBe(1);
  });
});

describe('unknown routes', () => {
  it('are logged once per shape, without the names in them, when the API takes them', async () => {
    for (const identifier of ['alice', 'bob']) {
      await test.exchange(`POST identities/${identifier}/segments/`, {}, answer(201));
      await test.exchange(`POST identities/${identifier}/segments/`, {}, answer(405));
    }
    expect(test.capture.counts.unknownRoutes).toBe(2);
    expect(test.log).toHaveLength(1);
    expect(JSON.parse(test.log[0] ?? '')).toMatchObject({ route: 'POST identities/*/segments/' });
    expect(await test.published()).toEqual([]);
  });

  it.each([
    ['POST identities/alice/segments/', [{ clientKey: 'clientkey' }]],
    ['PUT environments/envkey/identity-groups/7/', [{ clientKey: 'envkey' }]],
    // The header is a key only where Core reads it: here any caller could name an unrelated environment.
    ['POST features/featurestates-of-segments/', null],
    ['POST /x/api/v1/identities/', [{ clientKey: 'clientkey' }]],
    ['POST /x/api/v1/environments/envkey/identities/', [{ clientKey: 'envkey' }]],
  ])('%s is a gap of its environment when the API takes it', async (request, scope) => {
    await test.exchange(request, {}, answer(201));
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'unknownRoute', scope }]);
  });

  it.each([301, 400, 401, 403, 404, 405, 500])('are none with %i', async (status) => {
    await test.exchange('POST /x/api/v1/identities/', {}, answer(status));
    expect(test.spool.gaps.list()).toEqual([]);
  });

  describe('whose answer is not seen', () => {
    const cutOff: CaptureOutcome = { kind: 'unknown', why: 'clientGone' };
    const cases = [
      ['POST identities/alice/segments/', '/api/v1/flags/?feature=edge-migration-caller-check', 403],
      ['PUT environments/envkey/identity-groups/7/', '/api/v1/environments/envkey/', 401],
      ['POST features/featurestates-of-segments/', '/api/v1/projects/?organisation=0', 401],
    ] as const;

    async function cutOffWhere(request: string, status: number) {
      const asked: string[] = [];
      const begun = test.capture.begin(headOf({ request }), async ({ target }) => {
        asked.push(target);
        return { status, fields: [], body: Buffer.alloc(0) };
      });
      await begun?.intent(undefined, 'whole');
      begun?.finish(cutOff);
      await test.published();
      return { asked, gaps: test.spool.gaps.list(), open: test.spool.facts().open };
    }

    it.each(cases)('are a gap when Core knows the caller: %s', async (request, target) => {
      const reason = 'unknownRoute';
      expect(await cutOffWhere(request, 200)).toMatchObject({ asked: [target], gaps: [{ reason }], open: 0 });
    });

    it.each(cases)('are none when it does not: %s', async (request, target, status) => {
      expect(await cutOffWhere(request, status)).toEqual({ asked: [target], gaps: [], open: 0 });
    });

    it('are none when they are reads, or never reached the API', async () => {
      await test.exchange('GET /x/api/v1/identities/', undefined, cutOff);
      await test.exchange('POST identities/alice/segments/', {}, { kind: 'notSent' });
      expect(test.spool.gaps.list()).toEqual([]);
    });
  });

  const page = { ...answer(200), fields: [field('Content-Type', 'text/html; charset=utf-8')] } as CaptureOutcome;

  it("are none where the dashboard's page answers a read of any path", async () => {
    await test.exchange('GET /x/api/v1/identities/', undefined, page);
    await test.exchange('GET /x/api/v1/identities/', undefined, answer(405));
    expect(test.spool.gaps.list()).toEqual([]);
  });

  it.each(['POST identities/alice/segments/', 'POST /x/api/v1/identities/'])(
    '%s is a gap even if the client had the API answer with a page',
    async (request) => {
      await test.exchange(request, {}, page);
      expect(test.spool.gaps.list()).toMatchObject([{ reason: 'unknownRoute', scope: [{ clientKey: 'clientkey' }] }]);
    },
  );
});
