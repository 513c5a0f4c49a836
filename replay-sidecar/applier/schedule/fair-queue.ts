/** Runs work by key: fair between groups, limited per group and over all, one at a time per key. */
export interface FairQueue<T> {
  /** Items that wait under the same key run together. */
  add(group: number, key: string, item: T): void;
  /** Items that wait or run. */
  readonly size: number;
  /** Checks whether more may run, after `mayStart` has changed its answer. */
  pump(): void;
  /** Resolves when nothing runs. Waiting items are no longer started. */
  stop(): Promise<void>;
}

interface Batch<T> {
  readonly key: string;
  readonly items: T[];
}

interface Group<T> {
  readonly id: number;
  /** Ready to run, first come, first served. */
  readonly ready: Map<string, Batch<T>>;
  /** Under a key that runs. */
  readonly blocked: Map<string, Batch<T>>;
  readonly running: Set<string>;
  size: number;
}

export interface QueueLimits {
  /** Most keys that run at once. */
  readonly overall: number;
  /** Most of these for one group. */
  readonly perGroup: number;
  /** Whether more of a group may be started now; yes when omitted. */
  mayStart?(group: number): boolean;
}

/** @param run must not reject */
export function createFairQueue<T>(
  limits: QueueLimits,
  run: (group: number, key: string, items: readonly T[]) => Promise<void>,
): FairQueue<T> {
  /** In the order of their turns; a group moves to the end when its turn begins, and when it ends. */
  const groups = new Map<number, Group<T>>();
  const runs = new Set<Promise<void>>();
  let size = 0;
  let stopped = false;

  function add(id: number, key: string, item: T): void {
    let group = groups.get(id);
    if (group === undefined) {
      group = { id, ready: new Map(), blocked: new Map(), running: new Set(), size: 0 };
      groups.set(id, group);
    }
    const waiting = group.running.has(key) ? group.blocked : group.ready;
    const batch = waiting.get(key);
    if (batch === undefined) waiting.set(key, { key, items: [item] });
    else batch.items.push(item);
    group.size += 1;
    size += 1;
    pump();
  }

  function pump(): void {
    while (!stopped && runs.size < limits.overall) {
      const group = nextGroup();
      if (group === undefined) return;
      groups.delete(group.id);
      groups.set(group.id, group);
      start(group);
    }
  }

  function nextGroup(): Group<T> | undefined {
    for (const group of groups.values()) {
      if (group.ready.size === 0 || group.running.size >= limits.perGroup) continue;
      if (limits.mayStart?.(group.id) ?? true) return group;
    }
    return undefined;
  }

  function start(group: Group<T>): void {
    const [batch] = group.ready.values();
    if (batch === undefined) return;
    const { key, items } = batch;
    group.ready.delete(key);
    group.running.add(key);
    const running = run(group.id, key, items).finally(() => {
      runs.delete(running);
      end(group, key, items.length);
      pump();
    });
    runs.add(running);
  }

  function end(group: Group<T>, key: string, count: number): void {
    group.running.delete(key);
    group.size -= count;
    size -= count;
    const next = group.blocked.get(key);
    if (next !== undefined) {
      group.blocked.delete(key);
      group.ready.set(key, next);
    }
    groups.delete(group.id);
    if (group.size > 0) groups.set(group.id, group);
  }

  return {
    add,
    pump,
    get size() {
      return size;
    },
    async stop() {
      stopped = true;
      await Promise.all(runs);
    },
  };
}
