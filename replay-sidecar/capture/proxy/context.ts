import type { CaptureContext } from './captured-request.ts';
import type { Deadlines } from './deadlines.ts';
import type { ForwardedPolicy } from './forwarding.ts';
import type { Limits } from './limits.ts';
import type { Counters } from './metrics.ts';
import type { UpstreamPool } from './upstream.ts';

/** What every connection of one proxy shares. */
export interface ProxyContext {
  readonly pool: UpstreamPool;
  readonly capture: CaptureContext;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly counters: Counters;
  readonly forwarded: ForwardedPolicy;
  /** Told at each attempt, so that changes of state can be logged. */
  readonly onUpstream: (reachable: boolean, error?: Error) => void;
}
