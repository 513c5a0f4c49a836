import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { startTcpBreaker, type TcpBreaker } from '@edge-migration/test/faults/tcp-breaker.ts';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.ts';

import { connectNats, type NatsSettings } from './connection.ts';
import { NatsTransport } from './transport.ts';

const tls = (name: string) => new URL(`fixtures/tls/${name}`, import.meta.url).pathname;
const TLS_CONFIG = `tls { cert_file: "${tls('server.pem')}", key_file: "${tls('server-key.pem')}" }`;
/** Times that one connection breaks. */
const BREAKS = 2;
const MESSAGE = new Uint8Array(1024);
/** More than the kernel buffers for a connection whose other end does not read. */
const MANY_MESSAGES = 32 * 1024;

let plain: Nats;
let encrypted: Nats;
beforeAll(async () => {
  [plain, encrypted] = await Promise.all([startNats(), startNats({ config: TLS_CONFIG })]);
});
afterAll(() => Promise.all([plain[Symbol.asyncDispose](), encrypted[Symbol.asyncDispose]()]));

/** Errors that would have ended the process. */
let uncaught: unknown[];
beforeEach(() => {
  uncaught = [];
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
});
afterEach(() => process.setUncaughtExceptionCaptureCallback(null));

/** One attempt. */
function connectThrough(breaker: TcpBreaker, settings: Partial<NatsSettings> = {}) {
  const abandoned = new AbortController();
  return connectNats(
    { natsServers: [`nats://127.0.0.1:${breaker.port}`], natsTlsFirst: false, ...settings },
    { name: 'test', role: 'applier', clock: systemClock, signal: abandoned.signal, onFailure: () => abandoned.abort() },
  );
}

/** Resolves when the connection is re-established; call it before the connection breaks. */
function nextReconnect(connection: NatsConnection): Promise<void> {
  const statuses = connection.status();
  return (async () => {
    for await (const { type } of statuses) if (type === 'reconnect') return;
  })();
}

/** Sends continuously, like a publisher with a backlog. */
function keepSending(connection: NatsConnection): Disposable {
  const timer = setInterval(() => {
    for (let n = 0; n < 50; n++) connection.publish('x', MESSAGE);
  }, 1);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

describe('a connection to NATS that breaks under load', () => {
  const SERVERS = [
    ['in the clear', () => plain, {}],
    ['over TLS', () => encrypted, { natsCaFile: tls('ca.pem') }],
  ] as const;
  const BREAK = { 'is ended': 'end', 'is reset': 'reset' } as const;

  for (const [over, server, settings] of SERVERS) {
    it.each(Object.entries(BREAK))(`a connection ${over} that %s recovers, and throws nothing`, async (_, verb) => {
      await using breaker = await startTcpBreaker(server().port);
      const connection = await connectThrough(breaker, settings);
      {
        using _load = keepSending(connection);
        for (let n = 0; n < BREAKS; n++) {
          const standing = nextReconnect(connection);
          breaker[verb]();
          await standing;
        }
      }
      await connection.flush();
      await connection.close();
      expect(uncaught).toEqual([]);
    });
  }
});

describe('a connection to NATS that was given up', () => {
  it('a connection to NATS that was given up throws nothing if data was sent before its close', async () => {
    const transport = new NatsTransport();
    await transport.connect({ hostname: '127.0.0.1', port: plain.port, tlsName: '' }, {});
    const { socket } = transport;
    socket.end();
    transport.send(MESSAGE);
    await transport.close();
    await waitFor(() => socket.closed, { for: 'the end of the socket' });
    expect(uncaught).toEqual([]);
  });
});

describe('a connection to NATS that does not come about', () => {
  it('a connection reset between the server’s first message and the TLS handshake throws nothing', async () => {
    await using breaker = await startTcpBreaker(encrypted.port);
    breaker.resetOnceGreeted();
    await expect(connectThrough(breaker, { natsCaFile: tls('ca.pem') })).rejects.toThrow();
    expect(uncaught).toEqual([]);
  });

  it('a connection to a server that accepts it and stays silent leaves no socket open', async () => {
    await using breaker = await startTcpBreaker();
    await expect(connectThrough(breaker)).rejects.toThrow();
    await waitFor(() => breaker.open === 0, { for: 'the end of the attempt’s connection', timeoutMs: 120_000 });
  });
});

describe('a connection to NATS that is found dead', () => {
  it('a connection to NATS that is found dead is re-established at once, even with unsent data', async () => {
    await using breaker = await startTcpBreaker(plain.port);
    const connection = await connectThrough(breaker);
    breaker.freeze();
    for (let n = 0; n < MANY_MESSAGES; n++) connection.publish('x', MESSAGE);
    const standing = nextReconnect(connection);
    // As the library does after two unanswered pings.
    await connection.reconnect();
    await waitFor(() => standing.then(() => true), { for: 'a new connection', timeoutMs: 120_000 });
    await connection.close();
    expect(uncaught).toEqual([]);
  });
});
