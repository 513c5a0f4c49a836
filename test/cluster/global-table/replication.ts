import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Replica, Write } from './replica.ts';

/** How long a write takes to another region: between these bounds, independently for each item and region. */
export interface Delay {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Nothing is replicated until the delay is changed, or by `settle`. */
export const HELD: Delay = { minMs: Number.POSITIVE_INFINITY, maxMs: Number.POSITIVE_INFINITY };

/** Milliseconds at a position, 0 to 1, between the shortest and the longest delay. */
export function delayAt({ minMs, maxMs }: Delay, place: number): number {
  return minMs === maxMs ? minMs : minMs + place * (maxMs - minMs);
}

interface Delivery {
  readonly write: Write;
  readonly to: Replica;
  /** Its position between the shortest and the longest delay, 0 to 1. */
  readonly place: number;
}

export interface ReplicationSettings {
  readonly clock: Clock;
  /** Chooses delays: 0 to 1. */
  readonly random: () => number;
  /** Called on what should never happen: a write that could not be delivered. */
  readonly onFailure: (error: unknown) => void;
}

/** Delivers the writes of each region to all others: item by item, in no particular order, the latest wins. */
export class Replication {
  readonly #replicas: readonly Replica[];
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onFailure: (error: unknown) => void;
  readonly #isolated = new Set<string>();
  #pending: Delivery[] = [];
  #delay: Delay = { minMs: 0, maxMs: 0 };
  #wait = new AbortController();

  constructor(replicas: readonly Replica[], { clock, random, onFailure }: ReplicationSettings) {
    this.#replicas = replicas;
    this.#clock = clock;
    this.#random = random;
    this.#onFailure = onFailure;
  }

  /** Pending deliveries, including those to and from isolated regions. */
  get pending(): number {
    return this.#pending.length;
  }

  add(writes: readonly Write[]): void {
    for (const write of writes) {
      for (const to of this.#replicas.filter(({ region }) => region !== write.region)) {
        this.#pending.push({ write, to, place: this.#random() });
      }
    }
    if (writes.length > 0) this.#continue();
  }

  /** Also applies to writes under way. */
  setDelay(delay: Delay): void {
    this.#delay = delay;
    this.#continue();
  }

  isolate(region: string): void {
    this.#isolated.add(region);
  }

  /** Delivers at once what isolation held back and whose delay has passed. */
  rejoin(region: string): void {
    this.#isolated.delete(region);
    this.#continue();
  }

  /** Makes every pending delivery now, without delay; those of isolated regions stay. */
  async settle(): Promise<void> {
    await this.#deliver(this.#pending.filter((each) => this.#isOpen(each)));
  }

  /** Drops pending writes to a deleted table: one of the same name is another table. */
  forget(table: string): void {
    this.#pending = this.#pending.filter(({ write }) => write.table !== table);
  }

  /** Returns when no delivery is in progress. */
  async stop(): Promise<void> {
    this.#pending = [];
    this.#wait.abort();
    await Promise.all(this.#replicas.map((replica) => replica.idle()));
  }

  /** Waits for the next delivery that is due, instead of the previous one. */
  #continue(): void {
    this.#wait.abort();
    const wait = new AbortController();
    this.#wait = wait;
    this.#run(wait.signal).catch((error: unknown) => {
      if (error !== wait.signal.reason) this.#onFailure(error);
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const open = this.#pending.filter((each) => this.#isOpen(each));
      if (open.length === 0) return;
      const next = open.reduce((least, each) => Math.min(least, this.#dueAt(each)), Number.POSITIVE_INFINITY);
      // Infinite while replication is held; resumed when that ends.
      if (next === Number.POSITIVE_INFINITY) return;
      const left = next - this.#clock.now();
      // Due deliveries do not wait for a timer, which the next write would stop: writes can come without a pause.
      if (left > 0) await this.#clock.sleep(left, signal);
      const now = this.#clock.now();
      await this.#deliver(open.filter((each) => this.#dueAt(each) <= now));
      signal.throwIfAborted();
    }
  }

  /** A delivery made by two callers happens once: the second finds the item as late as the write. */
  async #deliver(deliveries: readonly Delivery[]): Promise<void> {
    const open = deliveries.filter((each) => this.#isOpen(each));
    await Promise.all(
      this.#replicas.map((replica) => replica.apply(open.filter(({ to }) => to === replica).map(({ write }) => write))),
    );
    const done = new Set(open);
    this.#pending = this.#pending.filter((each) => !done.has(each));
  }

  #dueAt({ write, place }: Delivery): number {
    return write.stamp + delayAt(this.#delay, place);
  }

  #isOpen({ write, to }: Delivery): boolean {
    return !this.#isolated.has(write.region) && !this.#isolated.has(to.region);
  }
}
