/** Runs one piece of work after the other. */
export interface SerialQueue {
  /** Settles as the work does, which begins when all earlier work has ended, successfully or not. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Node has four threads for files, and also looks up host names in them. A disk that hangs keeps a thread for each call
 * that is under way: one for the journal's write, one for each lane.
 */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(work) {
      const next = last.then(work);
      last = next.catch(() => undefined);
      return next;
    },
  };
}
