/** Sizes in bytes, times in milliseconds. */
export interface ProxyLimits {
  /** Head of one message. Above everything gunicorn takes (4094 + 100 x 8190), so that the API decides, not we. */
  readonly headBytes: number;
  /** A head of this size is always taken; larger ones share `headsTotalBytes`, from their first byte to their answer. */
  readonly smallHeadBytes: number;
  readonly headsTotalBytes: number;
  /** Connections of clients; beyond it those are closed that wait for nothing but the client. */
  readonly clients: number;
  /** Connections of clients while the requests of all others wait for the API: gunicorn's own backlog by default. */
  readonly clientsAtMost: number;
  /** One captured body; beyond it the capture is told `tooLarge` and the bytes still pass. */
  readonly capturedBodyBytes: number;
  /**
   * Memory for all that clients send and the proxy has to hold, and for what is made of it: a captured body counts three
   * times, until its request is over. A body beyond it is `tooLarge`; heads find room in any case.
   */
  readonly heldBytes: number;
  /** Body that an own request to the API may have in its answer. */
  readonly callBodyBytes: number;
  readonly prepareMs: number;
  readonly intentMs: number;
  readonly callMs: number;
  readonly connectMs: number;
  /** How long a refused connection is tried again. */
  readonly refusedMs: number;
  /** A connection to the API idle for longer is not used again. Must be well below the API's own keep-alive. */
  readonly idleUpstreamMs: number;
  readonly idleUpstreamConnections: number;
  /** A client that sends nothing for so long between requests is disconnected. Above the idle time of load balancers. */
  readonly idleClientMs: number;
  /** How long a head may take from its first byte to its end. */
  readonly headMs: number;
  /** How long a captured request whose client went away is carried on: the API's request timeout. */
  readonly carryMs: number;
  /** How long a client may go on sending after its last response before its connection is cut. */
  readonly lingerMs: number;
}

export const DEFAULT_LIMITS: ProxyLimits = {
  headBytes: 1024 * 1024,
  smallHeadBytes: 16 * 1024,
  headsTotalBytes: 8 * 1024 * 1024,
  clients: 512,
  clientsAtMost: 2048,
  capturedBodyBytes: 1024 * 1024,
  heldBytes: 32 * 1024 * 1024,
  callBodyBytes: 1024 * 1024,
  prepareMs: 5_000,
  intentMs: 250,
  callMs: 4_000,
  connectMs: 5_000,
  refusedMs: 500,
  idleUpstreamMs: 1_000,
  idleUpstreamConnections: 64,
  idleClientMs: 75_000,
  headMs: 30_000,
  carryMs: 60_000,
  lingerMs: 2_000,
};
