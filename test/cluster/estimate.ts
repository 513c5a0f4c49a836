/** One thing that is built or fetched, and how far it is; times in seconds. */
export interface Work {
  /** CPU seconds that it takes on some machine: what counts is how they compare. */
  readonly weight: number;
  /** Since it was begun; nothing before that. */
  readonly running?: number;
  /** How long it took, when it is done. */
  readonly took?: number;
}

/** Weight per second before anything is done: the machine on which the weights were measured, at two things at once. */
const ASSUMED_RATE = 1;
/** What still runs is not done, however long it has run. */
const MOST = 0.95;

/**
 * Seconds that are left of all the work, judged by what this machine has done so far.
 * What runs at the same time is taken to proceed at the same rate.
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
