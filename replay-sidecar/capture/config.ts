import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { z } from 'zod';
import { DEFAULT_LIMITS } from './proxy/limits.ts';

const ADDRESS = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/;

export interface Address {
  host: string;
  port: number;
}

/** `host:port`, an IPv6 host in brackets. */
const address = z
  .string()
  .regex(ADDRESS, 'must be host:port')
  .transform((text): Address => {
    const { ipv6, host, port } = ADDRESS.exec(text)?.groups ?? {};
    return { host: ipv6 ?? host ?? '', port: Number(port) };
  })
  .refine(({ port }) => port < 65536, 'must have a port below 65536');

const seconds = (fallback: number) => z.coerce.number().positive().default(fallback);
const bytes = (fallback: number) => z.coerce.number().int().positive().default(fallback);

const MIB = 1024 * 1024;

/** Settings of the capture sidecar; field `spoolMaxBytes` is variable `EDGE_MIGRATION_SPOOL_MAX_BYTES`. */
export const captureConfiguration = z.object({
  ...logSettings,
  ...natsSettings,
  /** Where the NATS account of the sidecars has JetStream's API: an import, or `$JS.<domain>.API` of a leaf node. */
  natsApiPrefix: z
    .string()
    .regex(/^[A-Za-z0-9$_-]+(\.[A-Za-z0-9$_-]+)*$/, 'must be a NATS subject without wildcards')
    .default('$JS.API'),

  /** Where clients reach the API through the sidecar. */
  listenAddress: address.prefault('0.0.0.0:8000'),
  /** Where the Core API itself listens. */
  upstreamAddress: address.prefault('127.0.0.1:8001'),
  /** `/livez`, `/readyz`, `/metrics`. */
  healthAddress: address.prefault('0.0.0.0:9464'),
  /** How `X-Forwarded-For`, `-Proto` and `-Host` are handled: left alone, appended to, or replaced. */
  forwardedHeaders: z.enum(['off', 'append', 'replace']).default('off'),
  /** Clients' connections; fewer where the process may not open twice as many descriptors. */
  maxConnections: z.coerce.number().int().positive().default(DEFAULT_LIMITS.clients),
  /** Identity writes with larger request bodies pass, but are a gap of their environment. */
  maxBodyBytes: bytes(MIB),
  /** Repeated reads that may have created the same identity make one event within this time. */
  readWindowSeconds: seconds(30),

  spoolDirectory: z.string().default('/var/spool/edge-migration'),
  /** Well below the size limit of the volume: a pod that exceeds that is evicted. */
  spoolMaxBytes: bytes(512 * MIB),
  /**
   * When the spool is forced to the disk: never (`none`), every second, or on each write (`commit`). It matters only
   * when the node goes down: anything not forced by then is a reported gap.
   */
  spoolSync: z.enum(['none', 'interval', 'commit']).default('interval'),
  /**
   * How long events stay in the spool after NATS acknowledged them. Longer than NATS's `sync_interval` (two minutes by
   * default): events not forced to its disk by then may be lost when its node goes down.
   */
  safetySeconds: seconds(150),

  heartbeatSeconds: seconds(5),
  /** Below the pod's `terminationGracePeriodSeconds`, part of which the API needs first. */
  shutdownSeconds: seconds(20),

  podName: z.string().min(1).max(253),
  /** Unique; part of a NATS subject. Any unique word outside Kubernetes. */
  podUid: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, - and _ only'),
  /** Omitted for a Core API outside Kubernetes. */
  podNamespace: z.string().default(''),
  nodeName: z.string().default(''),
});

export type CaptureConfiguration = z.output<typeof captureConfiguration>;
