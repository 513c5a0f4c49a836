import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createApp } from './app.ts';
import { createCaller } from './caller.ts';
import type { ApiRoute } from './route.ts';

const hello = {
  method: 'get',
  path: '/api/v1/hello/',
  query: z.object({}),
  handle: async () => ({ status: 200, body: {} }),
} as unknown as ApiRoute;

test('a caller with several tokens shares the limits of one', async () => {
  let tokens = 0;
  const app = createApp({
    routes: [hello],
    document: {},
    page: new Map(),
    // Each service account's token identifies the account.
    async authenticate() {
      tokens += 1;
      const extra = { 'authentication.kubernetes.io/credential-id': [`JTI=${tokens}`] };
      return createCaller({ user: 'system:serviceaccount:tenant:robot', groups: [], extra });
    },
    origin: { publicOrigin: undefined, mustProve: false },
    clock: { now: () => 0, monotonic: () => 0, sleep: async () => {} },
    onProblem() {},
  });
  const incoming = { method: 'GET', headersDistinct: {}, socket: {} } as unknown as IncomingMessage;
  const bindings = { incoming, outgoing: {} as ServerResponse };
  const statuses: number[] = [];
  for (let request = 0; request < 150; request += 1) {
    statuses.push((await app.request('/api/v1/hello/', {}, bindings)).status);
  }
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
});
