import type { AddressInfo } from 'node:net';

import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { createMetrics, registerProcessMetrics } from '@edge-migration/runtime/metrics.ts';
import { SIDECAR_TICK_MS } from '@edge-migration/runtime/policies.ts';
import { createCapture } from './capture.ts';
import type { CaptureConfiguration } from './config.ts';
import { affordableClients, readDescriptorLimit } from './descriptors.ts';
import { drainSpool } from './drain.ts';
import { createHealthServer } from './health.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createMemoryKeeper, createProcessHeap } from './memory.ts';
import { registerSidecarMetrics } from './metrics.ts';
import { DEFAULT_LIMITS } from './proxy/limits.ts';
import { createProxy } from './proxy/proxy.ts';
import { Publisher } from './publisher/publisher.ts';
import { createSpool } from './spool/spool.ts';
import { Usage } from './usage/usage.ts';

export interface SidecarOptions {
  configuration: CaptureConfiguration;
  /** This software's version. */
  release: string;
  clock: Clock;
  logger: Logger;
  /** Log lines dropped because nothing consumed them. */
  droppedLines(): number;
}

export interface Sidecar {
  /**
   * Accepts requests, whether or not NATS and the spool's disk are there.
   *
   * @throws when an address cannot be listened on
   */
  start(): Promise<{ proxy: AddressInfo; health: AddressInfo }>;
  /**
   * Lets requests end, sends what is left and says goodbye; takes at most `shutdownSeconds`, plus a second for the
   * disk. False if calls to the disk are still under way then.
   */
  stop(): Promise<boolean>;
  /** An uncaught error: requests go on, and a gap reports that one may have been missed. */
  survive(error: unknown): void;
}

/** How long the start waits for a disk: one that hangs must not keep the API from being served. */
const OPEN_MS = 2000;
const CLOSE_MS = 1000;

/** The capture sidecar: proxy, route table, spool, publisher and heartbeat, wired together. */
export function createSidecar(options: SidecarOptions): Sidecar {
  const { configuration, release, clock, logger } = options;
  const instance = `${configuration.podName}/${configuration.podUid}`;
  const metrics = createMetrics();
  const faults: Record<string, number> = { spool: 0, process: 0 };
  const stopping = new AbortController();
  let ready = false;
  let running: Promise<unknown> = Promise.resolve();
  /** Work that waits for the disk. */
  let keepingHouse: Promise<unknown> = Promise.resolve();

  const spool = createSpool({
    directory: configuration.spoolDirectory,
    clock,
    instance,
    limitBytes: configuration.spoolMaxBytes,
    safetyMs: configuration.safetySeconds * 1000,
    sync: configuration.spoolSync,
    onReady: () => publisher.wake(),
    onError(error) {
      faults['spool']! += 1;
      logger.error({ err: error }, 'the spool has a problem');
    },
  });
  const publisher = new Publisher({
    settings: configuration,
    apiPrefix: configuration.natsApiPrefix,
    name: `edge-migration ${instance}`,
    spool,
    clock,
    logger,
  });
  const usage = new Usage(clock);
  const heartbeat = createHeartbeat({
    sidecar: {
      instance,
      podUid: configuration.podUid,
      podName: configuration.podName,
      namespace: configuration.podNamespace,
      node: configuration.nodeName,
      release,
    },
    publisher,
    spool,
    usage,
    clock,
    logger,
    intervalMs: configuration.heartbeatSeconds * 1000,
  });
  const descriptors = readDescriptorLimit();
  const clients = affordableClients(configuration.maxConnections, descriptors);
  const clientsAtMost = Math.max(clients, affordableClients(DEFAULT_LIMITS.clientsAtMost, descriptors));
  if (clients < configuration.maxConnections)
    logger.warn({ clients, descriptors }, 'too few descriptors for all connections');
  const capture = createCapture({ spool, usage, clock, logger, readWindowMs: configuration.readWindowSeconds * 1000 });
  const proxy = createProxy({
    upstream: configuration.upstreamAddress,
    capture,
    clock,
    logger,
    metrics,
    limits: { capturedBodyBytes: configuration.maxBodyBytes, clients, clientsAtMost },
    forwarded: configuration.forwardedHeaders,
  });
  const memory = createMemoryKeeper(clock, createProcessHeap());
  const health = createHealthServer(metrics, () => ready);
  registerSidecarMetrics(metrics, {
    ...{ spool, publisher, heartbeat, counts: capture.counts, faults, clock },
    droppedLines: options.droppedLines,
  });
  registerProcessMetrics(metrics);

  async function every(milliseconds: number, work: () => void | Promise<void>, signal: AbortSignal): Promise<never> {
    for (;;) {
      await clock.sleep(milliseconds, signal);
      await work();
    }
  }

  /** Separate loops, so that a disk that hangs holds up nothing else. They end when the signal aborts. */
  function runLoops(signal: AbortSignal): void {
    running = Promise.allSettled([
      publisher.run(signal),
      heartbeat.run(signal),
      every(SIDECAR_TICK_MS, capture.tick, signal),
      every(SIDECAR_TICK_MS, memory.tick, signal),
    ]);
    keepingHouse = Promise.allSettled([spool.recover(), every(SIDECAR_TICK_MS, spool.tick, signal)]);
  }

  async function closeSpool(): Promise<boolean> {
    await keepingHouse;
    await spool.close();
    return true;
  }

  return {
    async start() {
      const healthAddress = await health.listen(configuration.healthAddress);
      await Promise.race([spool.open(), clock.sleep(OPEN_MS, stopping.signal)]);
      runLoops(stopping.signal);
      // Loading leaves more garbage than code, and a heap that grew to hold it.
      memory.collect();
      const proxyAddress = await proxy.listen(configuration.listenAddress);
      ready = true;
      logger.info({ listen: proxyAddress, health: healthAddress }, 'the sidecar takes requests');
      return { proxy: proxyAddress, health: healthAddress };
    },
    async stop() {
      const deadline = clock.monotonic() + configuration.shutdownSeconds * 1000;
      ready = false;
      // Half of the time for requests under way, the rest for sending their events.
      await proxy.stop(configuration.shutdownSeconds * 500);
      capture.flush();
      await drainSpool(spool, clock, deadline);
      const goodbye = await heartbeat.sayGoodbye();
      logger.info({ goodbye, ...spool.facts() }, goodbye ? 'all is sent' : 'not all is sent; it stays in the spool');
      stopping.abort();
      await running;
      // Calls to a disk that hangs may never come back; the spool is then as after a crash.
      const isClosed = await Promise.race([closeSpool(), clock.sleep(CLOSE_MS).then(() => false)]);
      if (!isClosed) logger.error("the spool's disk does not answer; the process ends without it");
      await health.close();
      return isClosed;
    },
    survive(error) {
      faults['process']! += 1;
      spool.gaps.mark('captureFailed', clock.now(), clock.now());
      logger.error({ err: error }, 'an error that nobody caught');
    },
  };
}
