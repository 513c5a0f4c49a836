import { describe, expect, test } from 'vitest';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, get, startBoth } from './support/setup.ts';

const CLIENT = [
  'X-Forwarded-For: 1.2.3.4',
  'x-forwarded-for: 5.6.7.8',
  'X-Forwarded-Proto: https',
  'Forwarded: for=9',
  'B: 1',
];

test.each([
  ['off', [], []],
  ['off', CLIENT, CLIENT],
  ['append', [], ['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a']],
  [
    'append',
    CLIENT,
    [
      ...[
        'X-Forwarded-For: 1.2.3.4',
        'x-forwarded-for: 5.6.7.8, 127.0.0.1',
        'X-Forwarded-Proto: https',
        'Forwarded: for=9',
      ],
      ...['B: 1', 'X-Forwarded-Host: a'],
    ],
  ],
  ['append', ['X-Forwarded-Ssl: on'], ['X-Forwarded-Ssl: on', 'X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: a']],
  ['replace', [], ['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a']],
  [
    'replace',
    [
      ...CLIENT,
      ...['X_Forwarded_For: 6.6.6.6', 'X-Forwarded-SSL: on', 'X-Forwarded-Protocol: ssl', 'X-Forwarded-Port: 1'],
      ...[
        'X-Real-IP: 6.6.6.6',
        'X-Forwarded-Prefix: /x',
        'Front-End-Https: on',
        'X-Scheme: https',
        'X-Client-Ip: 6.6.6.6',
      ],
    ],
    ['B: 1', 'X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a'],
  ],
] as const)('forwarded headers with setting %s: of %j the API sees %j', async (forwarded, sent, seen) => {
  await using both = await startBoth(
    { onRequest: ({ connection }) => connection.socket.write(answer('ok')) },
    { forwarded },
  );
  using client = await connectRaw(both.proxy.port);
  client.send(get('/a', ...sent));
  await client.until((received) => received.endsWith('ok'));
  expect(both.api.requests[0]?.text).toBe(get('/a', ...seen));
});

/** gunicorn treats these as its own from a trusted peer, such as the loopback address by default. */
const ALIASED = ['SCRIPT_NAME: /x', 'path_info: /y', 'X_Forwarded_For: 6.6.6.6', 'X_ENVIRONMENT_KEY: key'];

describe.each(['off', 'append', 'replace'] as const)(
  'headers whose names WSGI could confuse with others (%s)',
  (forwarded) => {
    test('reach neither the API nor the capture nor its own requests, and are counted', async () => {
      const own: string[] = [];
      const hook = createRecordingHook(({ head }) => ({
        async prepare(call) {
          await call({ method: 'GET', target: '/own', fields: head.fields });
          own.push(...head.fields.map(({ name }) => name));
        },
      }));
      const onRequest = ({ connection }: SeenRequest) => connection.socket.write(answer('ok'));
      await using both = await startBoth({ onRequest }, { forwarded, hook });
      using client = await connectRaw(both.proxy.port);
      client.send(get('/x/api/v1/identities/', ...ALIASED, 'A: 1'));
      await client.until((received) => received.endsWith('ok'));
      expect(both.api.requests).toHaveLength(2);
      for (const { text } of both.api.requests) {
        expect(text).toContain('A: 1');
        expect(text).not.toContain('_');
      }
      expect(own).toContain('A');
      expect(own.join()).not.toContain('_');
      expect(await both.proxy.metric('dropped_fields_total', { reason: 'aliased' })).toBe(ALIASED.length);
    });

    test('do not survive an upgrade', async () => {
      const onRequest = ({ connection }: SeenRequest) =>
        connection.socket.write('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello');
      await using both = await startBoth({ onRequest }, { forwarded });
      using client = await connectRaw(both.proxy.port);
      client.send(get('/a', 'Connection: upgrade', 'Upgrade: x', ...ALIASED));
      await client.until((received) => received.endsWith('hello'));
      expect(both.api.requests[0]?.text).toContain('Upgrade: x');
      expect(both.api.requests[0]?.text).not.toContain('_');
    });
  },
);

test('the capture sees the same as the API where headers are added and replaced', async () => {
  const hook = createRecordingHook();
  const onRequest = ({ connection }: SeenRequest) => connection.socket.write(answer('ok'));
  await using both = await startBoth({ onRequest }, { forwarded: 'append', hook });
  using client = await connectRaw(both.proxy.port);
  client.send(get('/a', 'X-Forwarded-For: 1.2.3.4', 'Connection: X-Forwarded-For'));
  await client.until((received) => received.endsWith('ok'));
  expect(hook.calls[0]?.head.fields.map(({ name, value }) => [name, value])).toEqual(
    both.api.requests[0]?.message.fields,
  );
});
