/** The parts of NATS's client library that we replace or access still have the shape of the pinned version. */
import { NatsConnectionImpl, setTransportFactory } from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { expect, test } from 'vitest';

const CHANGED =
  '@nats-io/transport-node changed its transport: read runtime/nats/transport.ts before you pin another version';

test('@nats-io/transport-node still has the transport and the way of connecting that we replace', () => {
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
  // The library stops listening to a socket's errors here; ours keeps listening.
  for (const name of ['startTLS', 'close'] as const) {
    expect(
      String(NodeTransport.prototype[name]) + String(Reflect.get(NodeTransport.prototype, '_closed')),
      CHANGED,
    ).toContain('removeAllListeners()');
  }
});
