import { Writable } from 'node:stream';

import type { WriteEvent } from '@edge-migration/identity/write-event.ts';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createCapture, type FlagsmithCapture } from './capture.ts';
import { CaptureTimeoutError } from './proxy/captured-request.ts';
import type { Capture, Outcome, RequestHead, UpstreamRequest, UpstreamResponse } from './proxy/hook.ts';
import { field, headOf } from './routes/testing.ts';
import { drain, eventOf, type Folder, openSpool, type TestSpool, temporaryFolder } from './spool/testing.ts';

const WINDOW = 30_000;
const unknown: Outcome = { kind: 'unknown', why: 'reset' };

let folder: Folder;
let test: TestSpool;
let capture: FlagsmithCapture;
let log: string[];

beforeEach(async () => {
  folder = temporaryFolder();
  test = await openSpool(folder.path);
  log = [];
  const lines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(chunk.toString());
      done();
    },
  });
  capture = createCapture({ spool: test.spool, clock: test.clock, log: pino({}, lines), readWindowMillis: WINDOW });
});

afterEach(async () => {
  await test[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

function begin(request: string, body?: unknown): Capture {
  const begun = capture.begin(headOf({ request, body }));
  if (begun === undefined) throw new Error(`${request} is not captured`);
  return begun;
}

function answer(status: number, json?: unknown): Outcome {
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  return { kind: 'responded', status, fields: [], body, truncated: false };
}

async function exchange(request: string, body: unknown, outcome: Outcome): Promise<void> {
  const begun = begin(request);
  await begun.intent(Buffer.from(JSON.stringify(body) ?? ''), 'whole');
  begun.finish(outcome);
}

/** What is published now, oldest first. */
async function published(): Promise<WriteEvent[]> {
  // Events are handed over once their intent has begun.
  await new Promise((resolve) => setImmediate(resolve));
  return (await drain(test.spool)).map(eventOf);
}

const identifiers = (events: readonly WriteEvent[]) =>
  events.map(({ target }) => (target.kind === 'identity' ? target.identifier : target.kind));

describe('createCapture', () => {
  it('is not interested in what cannot change identities', () => {
    expect(capture.begin(headOf({ request: 'GET flags/' }))).toBeUndefined();
    expect(capture.begin(headOf({ request: 'GET /health/liveness/' }))).toBeUndefined();
    expect(capture.counts.planned).toBe(0);
  });

  it('has a write on disk before the API can act, and publishes it after the answer', async () => {
    const begun = begin('POST identities/');
    expect(begun.needsBody).toBe(true);
    await begun.intent(Buffer.from('{"identifier": "alice", "traits": [{"trait_key": "plan"}]}'), 'whole');
    expect(test.spool.facts()).toMatchObject({ open: 1, depth: 0 });
    test.clock.advance(500);
    begun.finish(answer(200));
    const [event, ...others] = await published();
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
    await exchange('POST identities/', { identifier: 'alice' }, answer(400));
    expect(await published()).toEqual([]);
    expect(test.spool.facts()).toMatchObject({ open: 0, depth: 0 });
  });

  it('says that the outcome is unknown, or comes later', async () => {
    await exchange('POST identities/', { identifier: 'alice' }, unknown);
    await exchange('DELETE projects/42/', undefined, answer(204));
    await exchange('DELETE projects/43/', undefined, unknown);
    expect((await published()).map(({ outcome }) => outcome)).toEqual(['unknown', 'background', 'background']);
  });

  it('publishes what was under way when a process died', async () => {
    const begun = begin('POST identities/');
    await begun.intent(Buffer.from('{"identifier": "alice"}'), 'whole');
    using copy = temporaryFolder(folder.path);
    await using next = await openSpool(copy.path);
    const events = (await drain(next.spool)).map(eventOf);
    expect(identifiers(events)).toEqual(['alice']);
    expect(events[0]?.outcome).toBe('unknown');
    begun.finish(answer(200));
  });

  it('publishes what only the answer names', async () => {
    const request = 'PATCH features/featurestates/9/';
    await exchange(
      request,
      { enabled: true, environment: 5 },
      answer(200, { identity: 7, feature: 31, environment: 5 }),
    );
    const [event] = await published();
    expect(event).toMatchObject({ target: { kind: 'identityId', identityId: 7 }, touched: { overrides: [31] } });
  });

  it('does nothing for a request that never reached the API', async () => {
    begin('POST identities/').finish({ kind: 'notSent' });
    expect(await published()).toEqual([]);
    expect(test.spool.gaps.list()).toEqual([]);
  });

  it('keeps server keys out of the spool', async () => {
    const head = headOf({ request: 'POST identities/', key: 'ser.TopSecretServerKey' });
    const begun = capture.begin(head);
    await begun?.intent(Buffer.from('{"identifier": "alice"}'), 'whole');
    begun?.finish(answer(200));
    const events = await published();
    expect(JSON.stringify(events)).not.toContain('TopSecret');
    expect(events[0]?.target).toHaveProperty('environment.serverKeySha256');
  });
});

describe('gaps', () => {
  it.each([
    ['bodyTooLarge', undefined, 'tooLarge', 'application/json'],
    ['bodyUnreadable', '{}', 'whole', 'application/json; charset=utf-7'],
  ] as const)('%s covers the environment of the request', async (reason, body, extent, type) => {
    const begun = capture.begin(headOf({ request: 'POST identities/', type }));
    await begun?.intent(body === undefined ? undefined : Buffer.from(body), extent);
    test.clock.advance(1000);
    begun?.finish(answer(200));
    expect(test.spool.gaps.list()).toEqual([
      {
        from: '2026-06-01T00:00:00.000Z',
        until: '2026-06-01T00:00:01.000Z',
        reason,
        environments: [{ clientKey: 'clientkey' }],
      },
    ]);
    expect(capture.counts.uncovered).toBe(1);
  });

  it('a form of the Django admin may have changed any environment', async () => {
    await exchange('POST /admin/environments/identity/7/change/', undefined, answer(302));
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'unnamedWrite', environments: null }]);
  });

  it('an error of our own is one, a failed or late lookup and a late intent are none', () => {
    const head = headOf({ request: 'POST identities/' });
    capture.missed(head, 'prepare', new Error('lookup'));
    capture.missed(head, 'intent', new CaptureTimeoutError('late'));
    expect(test.spool.gaps.list()).toEqual([]);
    capture.missed(head, 'intent', new Error('bug'));
    expect(test.spool.gaps.list()).toMatchObject([
      { reason: 'captureFailed', environments: [{ clientKey: 'clientkey' }] },
    ]);
    expect(log).toHaveLength(3);
    expect(log.join()).not.toContain('clientkey');
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
    const begun = capture.begin(head);
    await begun?.prepare?.((request) => {
      asked.push(request);
      return reply();
    });
    await begun?.intent(undefined, 'whole');
    begun?.finish(answer(204));
    return { asked, events: await published() };
  }

  it('asks the API as the caller before the request is forwarded', async () => {
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
    expect(capture.counts).toMatchObject({ lookups: 1, failedLookups: 0 });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('reset'))],
    ['is refused', () => Promise.resolve({ status: 403, fields: [], body: Buffer.from('{}') })],
    ['is no JSON', () => Promise.resolve({ status: 200, fields: [], body: Buffer.from('<html>') })],
  ])('checks every identity of the environment when the lookup %s', async (_, reply) => {
    const { events } = await deleted(reply);
    expect(identifiers(events)).toEqual(['environment']);
    expect(capture.counts.failedLookups).toBe(1);
  });
});

describe('unknown routes', () => {
  it('are logged once for each shape, without what they name, when the API takes them', async () => {
    for (const identifier of ['alice', 'bob']) {
      await exchange(`POST identities/${identifier}/segments/`, {}, answer(201));
      await exchange(`POST identities/${identifier}/segments/`, {}, answer(405));
    }
    expect(capture.counts.unknownRoutes).toBe(2);
    expect(log).toHaveLength(1);
    expect(JSON.parse(log[0] ?? '')).toMatchObject({ route: 'POST identities/*/segments/' });
    expect(await published()).toEqual([]);
  });
});

describe('reads', () => {
  const read = (identifier: string) => `GET identities/?identifier=${identifier}`;
  const created = answer(200, { traits: [], flags: [] });
  const known = answer(200, { traits: [{ id: 1, trait_key: 'plan' }], flags: [] });

  it('are published at once when they may have created the identity', async () => {
    await exchange(read('alice'), undefined, created);
    expect(identifiers(await published())).toEqual(['alice']);
  });

  it('publish nothing when the answer proves that they changed nothing', async () => {
    await exchange(read('alice'), undefined, known);
    expect(await published()).toEqual([]);
    expect(test.spool.facts().open).toBe(0);
  });

  it('are published once more after the window, however many there were', async () => {
    for (let count = 0; count < 5; count++) await exchange(read('alice'), undefined, created);
    await exchange(read('bob'), undefined, created);
    expect(identifiers(await published())).toEqual(['alice', 'bob']);
    capture.tick();
    expect(await published()).toEqual([]);
    test.clock.advance(WINDOW);
    capture.tick();
    expect(identifiers(await published())).toEqual(['alice']);
    test.clock.advance(WINDOW);
    capture.tick();
    expect(await published()).toEqual([]);
    expect(test.spool.facts().open).toBe(0);
  });

  it('that are held back are on disk', async () => {
    await exchange(read('alice'), undefined, created);
    await exchange(read('alice'), undefined, created);
    await published();
    using copy = temporaryFolder(folder.path);
    await using next = await openSpool(copy.path);
    const events = (await drain(next.spool)).map(eventOf);
    expect(events.filter(({ outcome }) => outcome === 'unknown').map(({ route }) => route)).toEqual([
      'sdk.readIdentity',
    ]);
  });

  it('that overlap are covered by an intent until the last has ended', async () => {
    const [one, two] = [begin(read('alice')), begin(read('alice'))];
    await one.intent(undefined, 'whole');
    await two.intent(undefined, 'whole');
    expect(test.spool.facts().open).toBe(1);
    one.finish(created);
    expect(identifiers(await published())).toEqual(['alice']);
    expect(test.spool.facts().open).toBe(1);
    two.finish(known);
    await published();
    expect(test.spool.facts().open).toBe(0);
  });

  it('that end in the dark are published as of unknown outcome', async () => {
    await exchange(read('alice'), undefined, created);
    await exchange(read('alice'), undefined, unknown);
    await exchange(read('alice'), undefined, created);
    await published();
    capture.flush();
    expect((await published()).map(({ outcome }) => outcome)).toEqual(['unknown']);
  });
});
