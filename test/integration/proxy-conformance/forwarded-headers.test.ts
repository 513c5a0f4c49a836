import { expect, test } from 'vitest';
import { connectRaw } from './support/raw-client.ts';
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
    [...CLIENT, 'X_Forwarded_For: 6.6.6.6', 'X-Forwarded-SSL: on', 'X-Forwarded-Protocol: ssl', 'X-Forwarded-Port: 1'],
    ['B: 1', 'X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a'],
  ],
] as const)('%s: of %j the API sees %j', async (forwarded, sent, seen) => {
  await using both = await startBoth(
    { onRequest: ({ connection }) => connection.socket.write(answer('ok')) },
    { forwarded },
  );
  using client = await connectRaw(both.proxy.port);
  client.send(get('/a', ...sent));
  await client.until((received) => received.endsWith('ok'));
  expect(both.api.requests[0]?.text).toBe(get('/a', ...seen));
});
