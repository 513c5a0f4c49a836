import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CaptureOutcome, UpstreamResponse } from './proxy/hook.ts';
import { headOf } from './routes/testing.ts';
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
