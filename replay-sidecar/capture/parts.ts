import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { createMetrics, registerProcessMetrics } from '@edge-migration/runtime/metrics.ts';
import { createCapture } from './capture.ts';
import type { CaptureConfiguration } from './config.ts';
import { affordableClients, readDescriptorLimit } from './descriptors.ts';
import { createHealthServer } from './health.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createMemoryKeeper, createProcessHeap } from './memory.ts';
import { registerSidecarMetrics } from './metrics.ts';
import { DEFAULT_LIMITS } from './proxy/limits.ts';
import { createProxy } from './proxy/proxy.ts';
import { Publisher } from './publisher/publisher.ts';
import { createSpool } from './spool/spool.ts';
import { Usage } from './usage/usage.ts';

export interface PartsOptions {
  readonly configuration: CaptureConfiguration;
  /** This software's version. */
  readonly release: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Log lines dropped because nothing consumed them. */
  droppedLines(): number;
  /** Requests are accepted. */
  isReady(): boolean;
  /** Survived errors, by origin; counted by whom they concern. */
  readonly faults: Record<'spool' | 'process', number>;
}

export type SidecarParts = ReturnType<typeof createParts>;

/** Proxy, route table, spool, publisher and heartbeat, wired together; nothing runs yet. */
export function createParts(options: PartsOptions) {
  const { configuration, clock, logger, faults, droppedLines } = options;
  const instance = `${configuration.podName}/${configuration.podUid}`;
  const metrics = createMetrics();
  const spool = createSpool({
    directory: configuration.spoolDirectory,
    ...{ clock, instance },
    limitBytes: configuration.spoolMaxBytes,
    safetyMs: configuration.safetySeconds * 1000,
    sync: configuration.spoolSync,
    onReady: () => publisher.wake(),
    onError(error) {
      faults.spool += 1;
      logger.error({ err: error }, 'the spool has a problem');
    },
  });
  const publisher = new Publisher({
    settings: configuration,
    apiPrefix: configuration.natsApiPrefix,
    name: `edge-migration ${instance}`,
    ...{ spool, clock, logger },
  });
  const usage = new Usage(clock);
  const heartbeat = createHeartbeat({
    sidecar: describeSidecar(options, instance),
    ...{ publisher, spool, usage, clock, logger },
    intervalMs: configuration.heartbeatSeconds * 1000,
  });
  const capture = createCapture({ spool, usage, clock, logger, readWindowMs: configuration.readWindowSeconds * 1000 });
  const proxy = createProxy({
    upstream: configuration.upstreamAddress,
    ...{ capture, clock, logger, metrics },
    limits: { capturedBodyBytes: configuration.maxBodyBytes, ...affordLimits(options) },
    forwarded: configuration.forwardedHeaders,
  });
  const memory = createMemoryKeeper(clock, createProcessHeap());
  const health = createHealthServer(metrics, options.isReady);
  registerSidecarMetrics(metrics, {
    ...{ spool, publisher, heartbeat, counts: capture.counts, faults, clock },
    droppedLines,
  });
  registerProcessMetrics(metrics);
  return { spool, publisher, heartbeat, capture, proxy, memory, health };
}

function describeSidecar({ configuration, release }: PartsOptions, instance: string) {
  return {
    instance,
    podUid: configuration.podUid,
    podName: configuration.podName,
    namespace: configuration.podNamespace,
    node: configuration.nodeName,
    release,
  };
}

/** As many clients as are configured, if there are descriptors for them. */
function affordLimits({ configuration, logger }: PartsOptions) {
  const descriptors = readDescriptorLimit();
  const clients = affordableClients(configuration.maxConnections, descriptors);
  const clientsAtMost = Math.max(clients, affordableClients(DEFAULT_LIMITS.clientsAtMost, descriptors));
  if (clients < configuration.maxConnections)
    logger.warn({ clients, descriptors }, 'too few descriptors for all connections');
  return { clients, clientsAtMost };
}
