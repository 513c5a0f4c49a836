import { type AddressInfo, createServer } from 'node:net';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { Metrics } from '@edge-migration/runtime/metrics.ts';
import { Budget } from './budget.ts';
import { createCall } from './call.ts';
import { ClientConnection } from './client.ts';
import { Clients } from './clients.ts';
import type { ProxyContext } from './context.ts';
import { createDeadlines } from './deadlines.ts';
import type { ForwardedPolicy } from './forwarding.ts';
import type { CallUpstream, CaptureHook } from './hook.ts';
import { DEFAULT_LIMITS, type ProxyLimits } from './limits.ts';
import { type ConnectionCounts, createCounters } from './metrics.ts';
import { answerOf } from './refusal.ts';
import { createUpstreamPool, type UpstreamAddress } from './upstream.ts';

export interface ProxyOptions {
  readonly upstream: UpstreamAddress;
  readonly capture: CaptureHook;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the proxy's metrics are registered. */
  readonly metrics: Metrics;
  readonly limits?: Partial<ProxyLimits>;
  /** `off` by default. */
  readonly forwarded?: ForwardedPolicy;
}

export interface ReverseProxy {
  /** @returns the bound address; port 0 picks a free one */
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  readonly callUpstream: CallUpstream;
  readonly connections: ConnectionCounts;
  /**
   * Accepts no more, lets requests under way end for at most `graceMs`, then cuts the rest. All captures are finished
   * when it resolves. Further calls return the first one's promise.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * A transparent HTTP/1.1 reverse proxy in front of the Core API: bytes in, bytes out, with the hook looking on.
 *
 * It reads sockets itself instead of using `node:http`, because that one gives back neither the bytes of a head (folded
 * white space, the case of `chunked`, extensions of chunks) nor a half-closed connection, and costs twice the CPU and
 * memory. See framing-error.ts for what it refuses, forwarding.ts for what it changes, and exchange.ts for what it
 * sends twice.
 */
export function createProxy(options: ProxyOptions): ReverseProxy {
  const limits: ProxyLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const deadlines = createDeadlines(options.clock);
  const connections: ConnectionCounts = {
    get clients() {
      return clients.size;
    },
    get upstreamBusy() {
      return pool.busy;
    },
    get upstreamIdle() {
      return pool.idle;
    },
  };
  const counters = createCounters(options.metrics, () => connections);
  const budget = new Budget(limits.heldBytes);
  const clients = new Clients<ClientConnection>(limits, counters, budget);
  const pool = createUpstreamPool(options.upstream, options.clock, deadlines, limits, counters);
  const callUpstream = createCall(pool, deadlines, limits);
  const context: ProxyContext = {
    pool,
    clients,
    clock: options.clock,
    deadlines,
    limits,
    counters,
    capture: {
      hook: options.capture,
      call: callUpstream,
      deadlines,
      limits,
      counters,
      budget,
    },
    forwarded: options.forwarded ?? 'off',
    onUpstream: createReachability(options.logger),
  };
  let onEmpty: (() => void) | undefined;
  let stopped: Promise<void> | undefined;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (!clients.makeRoom()) {
      socket.on('error', () => {});
      socket.end(answerOf(503, 'Too many requests wait for the API'), () => socket.destroy());
      return;
    }
    const client = new ClientConnection(context, socket, () => {
      clients.delete(client);
      if (clients.size === 0) onEmpty?.();
    });
    clients.add(client);
  });

  return {
    callUpstream,
    connections,
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(address, () => {
          server.off('error', reject);
          const bound = server.address() as AddressInfo;
          options.logger.info(
            { address: bound.address, port: bound.port, upstream: options.upstream },
            'proxy listening',
          );
          resolve(bound);
        });
      }),
    stop: (graceMs) => (stopped ??= stop(graceMs)),
  };

  async function stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const client of clients) client.stop(false);
    const grace = deadlines.set(graceMs, () => {
      for (const client of clients) client.stop(true);
    });
    if (clients.size > 0) {
      await new Promise<void>((resolve) => {
        onEmpty = resolve;
      });
    }
    grace.cancel();
    await closed;
    pool.close();
    deadlines.stop();
    options.logger.info('proxy stopped');
  }
}

/** Logs when the API becomes unreachable and when it is back. */
function createReachability(logger: Logger): ProxyContext['onUpstream'] {
  let reachable = true;
  return (now, error) => {
    if (now === reachable) return;
    reachable = now;
    if (now) logger.info('API reachable again');
    else logger.warn({ error: error?.message }, 'API unreachable');
  };
}
