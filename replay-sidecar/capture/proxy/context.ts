import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { CaptureContext } from './captured-request.ts';
import type { ClientConnection } from './client.ts';
import type { Clients } from './clients.ts';
import type { Timers } from './deadlines.ts';
import type { ForwardedPolicy } from './forwarding.ts';
import type { ProxyLimits } from './limits.ts';
import type { Counters } from './metrics.ts';
import type { UpstreamPool } from './upstream.ts';

/** What every connection of one proxy shares. */
export interface ProxyContext {
  readonly pool: UpstreamPool;
  readonly clients: Clients<ClientConnection>;
  readonly capture: CaptureContext;
  readonly clock: Clock;
  readonly deadlines: Timers;
  readonly limits: ProxyLimits;
  readonly counters: Counters;
  readonly forwarded: ForwardedPolicy;
  /** Called at each attempt, so that changes of state can be logged. */
  readonly onUpstream: (reachable: boolean, error?: Error) => void;
}
