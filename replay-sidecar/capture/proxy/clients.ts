import type { Budget } from './budget.ts';
import type { ProxyLimits } from './limits.ts';
import type { Counters } from './metrics.ts';

/**
 * The state of a client's connection, in the order in which connections are cut. `leaving`: it got its last response.
 * `asking`: no request is complete yet, neither the first nor the one that has begun. `idle`: between two requests.
 * `slow`: its request waits for the client to send or to read.
 */
export const EXPENDABLE = ['leaving', 'asking', 'idle', 'slow'] as const;
export type Expendable = (typeof EXPENDABLE)[number];

/** The properties of a connection that decide which one is cut. */
export interface Client {
  /** `busy`: its request waits for the API. */
  readonly standing: Expendable | 'busy';
  /** Since when it has been in that state, monotonic. */
  readonly since: number;
  cut(): void;
}

/**
 * All clients' connections: no more of them, and of their memory in large heads, than the process can bear. Any excess
 * is taken from clients that wait only for themselves, those that have done so for longest first.
 */
export class Clients<C extends Client> {
  private readonly all = new Set<C>();
  /** Bytes held in large heads; small ones are bounded by the number of connections. */
  private readonly heads = new Map<C, number>();
  private headBytes = 0;
  private readonly limits: ProxyLimits;
  private readonly counters: Counters;
  private readonly budget: Budget;

  /** `budget`: of all that the proxy holds for clients. Heads may take only a part of it. */
  constructor(limits: ProxyLimits, counters: Counters, budget: Budget) {
    this.limits = limits;
    this.counters = counters;
    this.budget = budget;
  }

  get size(): number {
    return this.all.size;
  }

  [Symbol.iterator](): Iterator<C> {
    return this.all.values();
  }

  add(client: C): void {
    this.all.add(client);
  }

  delete(client: C): void {
    this.all.delete(client);
    this.releaseHead(client);
  }

  /**
   * Makes room for one more connection. While every request waits for the API, more are allowed than otherwise, because
   * they would wait there, too. False: even those are too many.
   */
  makeRoom(): boolean {
    const { limits, counters, all } = this;
    if (all.size < limits.clients) return true;
    const victim = mostExpendable(all, EXPENDABLE);
    if (victim !== undefined) {
      this.cut(victim);
      return true;
    }
    if (all.size < limits.clientsAtMost) return true;
    counters.cutConnections.refused += 1;
    return false;
  }

  /**
   * Reports how much memory the client's head takes now. False: there is too much of it and no slower client to take it
   * from, so this one must not go on.
   */
  holdHead(client: C, bytes: number): boolean {
    const { limits, heads, budget } = this;
    this.releaseHead(client);
    if (bytes <= limits.smallHeadBytes) return true;
    heads.set(client, 0);
    while (this.headBytes + bytes > limits.headsTotalBytes) {
      const victim = mostExpendable(heads.keys(), ['asking']);
      if (victim !== undefined) this.releaseHead(victim);
      if (victim === undefined || victim === client) {
        this.releaseHead(client);
        return false;
      }
      this.cut(victim);
    }
    heads.set(client, bytes);
    this.headBytes += bytes;
    // Bodies must not cause heads to be refused: a body that finds no room still passes.
    budget.take(bytes);
    return true;
  }

  private releaseHead(client: C): void {
    const bytes = this.heads.get(client);
    if (bytes === undefined) return;
    this.heads.delete(client);
    this.headBytes -= bytes;
    this.budget.release(bytes);
  }

  private cut(victim: C): void {
    if (victim.standing !== 'busy') this.counters.cutConnections[victim.standing] += 1;
    victim.cut();
  }
}

function mostExpendable<C extends Client>(clients: Iterable<C>, standings: readonly Expendable[]): C | undefined {
  let found: C | undefined;
  let lowest: number = standings.length;
  for (const client of clients) {
    const { standing } = client;
    const rank = standing === 'busy' ? -1 : standings.indexOf(standing);
    if (rank < 0 || rank > lowest) continue;
    if (rank === lowest && found !== undefined && found.since <= client.since) continue;
    found = client;
    lowest = rank;
  }
  return found;
}
