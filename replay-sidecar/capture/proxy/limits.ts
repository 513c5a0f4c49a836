/** Sizes in bytes, times in milliseconds. */
export interface ProxyLimits {
  /** Head of one message. Above everything gunicorn accepts (4094 + 100 x 8190), so that the API decides, not we. */
  readonly headBytes: number;
  /** A head of this size is always accepted; larger ones share `headsTotalBytes`, from first byte to answer. */
  readonly smallHeadBytes: number;
  readonly headsTotalBytes: number;
  /** Client connections; beyond this, those that wait only for the client are closed. */
  readonly clients: number;
  /** Client connections while the requests of all others wait for the API: gunicorn's own backlog by default. */
  readonly clientsAtMost: number;
  /** One captured body; beyond this the capture gets `tooLarge` and the bytes still pass. */
  readonly capturedBodyBytes: number;
  /**
   * Memory for everything that clients send and the proxy has to hold, and for what is made of it: a captured body
   * counts three times, until its request is over. A body beyond it is `tooLarge`; heads find room in any case.
   */
  readonly heldBytes: number;
  /** Longest body in the answer to one of our own requests to the API. */
  readonly callBodyBytes: number;
  readonly prepareMs: number;
  readonly intentMs: number;
  readonly callMs: number;
  readonly connectMs: number;
  /** How long a refused connection is retried. */
  readonly refusedMs: number;
  /** A connection to the API idle for longer is not used again. Must be well below the API's own keep-alive. */
  readonly idleUpstreamMs: number;
  readonly idleUpstreamConnections: number;
  /** A client that sends nothing for so long between requests is disconnected. Above load balancers' idle time. */
  readonly idleClientMs: number;
  /** How long a head may take from its first byte to its end. */
  readonly headMs: number;
  /** How long a captured request continues after its client went away: the API's request timeout. */
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
