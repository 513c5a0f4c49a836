import { readFileSync } from 'node:fs';

import { MAX_HEALTH_CONNECTIONS } from './health.ts';
import { DEFAULT_LIMITS } from './proxy/limits.ts';

/** For NATS, the spool's files and the process's own files. */
const OWN_DESCRIPTORS = 40;
const RESERVED = OWN_DESCRIPTORS + MAX_HEALTH_CONNECTIONS + DEFAULT_LIMITS.idleUpstreamConnections;

/** How many descriptors this process may have open (Node raises the soft limit to the hard one); undefined: unknown. */
export function readDescriptorLimit(): number | undefined {
  try {
    const limit = /^Max open files +([0-9]+) /m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    // Only Linux has this file.
    return undefined;
  }
}

/** How many clients may be connected, each of which may need a connection to the API, leaving enough for the rest. */
export function affordableClients(wanted: number, descriptors: number | undefined): number {
  if (descriptors === undefined) return wanted;
  return Math.max(1, Math.min(wanted, Math.floor((descriptors - RESERVED) / 2)));
}
