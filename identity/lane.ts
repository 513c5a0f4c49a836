/** Runs work, a little at a time. Groups take turns: one with much work does not hold up the others. */
export interface ConcurrencyLimit {
  run<T>(group: number, work: () => Promise<T>): Promise<T>;
}

/** @param parallel how many pieces of work run at the same time */
export function createConcurrencyLimit(parallel: number): ConcurrencyLimit {
  /** In the order of their next turns. */
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
