/** What we replace of NATS's client library, or reach into, has the shape that it had in the version that package.json pins. */
import { NatsConnectionImpl, setTransportFactory } from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { expect, test } from 'vitest';

const CHANGED =
  '@nats-io/transport-node changed its transport: read runtime/nats/transport.ts before you pin another version';

test('of @nats-io/transport-node: the transport, and how a connection is made with it', () => {
  const transport = new NodeTransport();
  const methods = ['dial', 'startTLS', 'tlsFirst', 'close', 'discard', 'disconnect'] as const;
  expect(
    methods.filter((name) => typeof transport[name] !== 'function'),
    CHANGED,
  ).toEqual([]);
  expect(transport.connected, CHANGED).toBe(false);
  expect([typeof NatsConnectionImpl.connect, typeof setTransportFactory, typeof nodeResolveHost], CHANGED).toEqual([
    'function',
    'function',
    'function',
  ]);
  // Where it stops listening to a socket's errors, which ours keeps up.
  for (const name of ['startTLS', 'close'] as const) {
    expect(
      String(NodeTransport.prototype[name]) + String(Reflect.get(NodeTransport.prototype, '_closed')),
      CHANGED,
    ).toContain('removeAllListeners()');
  }
});
