import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CaptureOutcome } from './proxy/hook.ts';
import { field, headOf } from './routes/testing.ts';
import { answer, openCapture, type TestCapture } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

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
