/** Runs work, a little at a time. Groups take turns: one that has much to do does not hold up the others. */
export interface ConcurrencyLimit {
  run<T>(group: number, work: () => Promise<T>): Promise<T>;
}

/** @param parallel how much work is under way at the same time */
export function createConcurrencyLimit(parallel: number): ConcurrencyLimit {
  /** In the order in which the groups are next. */
  const waiting = new Map<number, (() => Promise<void>)[]>();
  let running = 0;

  function pump(): void {
    while (running < parallel) {
      const [next] = waiting;
      if (next === undefined) return;
      const [group, [start, ...rest]] = next;
      waiting.delete(group);
      if (rest.length > 0) waiting.set(group, rest);
      running += 1;
      void start?.();
    }
  }

  return {
    run: (group, work) =>
      new Promise((resolve, reject) => {
        const start = () =>
          work()
            .then(resolve, reject)
            .finally(() => {
              running -= 1;
              pump();
            });
        waiting.set(group, [...(waiting.get(group) ?? []), start]);
        pump();
      }),
  };
}
