/** One item that is built or fetched, and its progress; times in seconds. */
export interface Work {
  /** CPU seconds on some machine: only the ratios matter. */
  readonly weight: number;
  /** Seconds since it was begun; undefined before that. */
  readonly running?: number;
  /** Seconds that it took, once it is done. */
  readonly took?: number;
}

/** Weight per second before the first result, on the machine of the measured weights, with two builds at once. */
const ASSUMED_RATE = 1;
/** A running item never counts as done, however long it has run. */
const MOST = 0.95;

/**
 * Seconds left for all the work, judged by this machine's progress so far.
 * Parallel work is assumed to proceed at the same rate.
 */
export function estimateSecondsLeft(works: readonly Work[], elapsed: number): number {
  const done = works.filter(({ took }) => took !== undefined);
  const total = sum(works.map(({ weight }) => weight));
  const doneWeight = sum(done.map(({ weight }) => weight));
  const rate = doneWeight > 0 ? doneWeight / sum(done.map(({ took = 0 }) => took)) : ASSUMED_RATE;
  const under = works.map(({ weight, running = 0, took }) =>
    took === undefined ? Math.min(MOST * weight, running * rate) : 0,
  );
  const progressed = doneWeight + sum(under);
  const overall = done.length === 0 || elapsed === 0 ? 2 * ASSUMED_RATE : progressed / elapsed;
  return Math.max(0, total - progressed) / overall;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
