import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { RequestHead, UpstreamRequest, UpstreamResponse } from './proxy/hook.ts';
import { field } from './routes/testing.ts';
import { answer, answering, identifiers, openCapture, type TestCapture } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

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
    ['is not JSON', () => Promise.resolve({ status: 200, fields: [], body: Buffer.from('<html>') })],
  ])('fall back to every identity of the environment when the lookup %s', async (_, reply) => {
    const { events } = await deleted(reply);
    expect(identifiers(events)).toEqual(['environment']);
    expect(test.capture.counts.failedLookups).toBe(1);
  });
});
