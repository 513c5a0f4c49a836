import process from 'node:process';

/** Aborted by SIGTERM and SIGINT. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));
  return stop.signal;
}

/**
 * Whether a failure is the stop itself: pending work fails with the signal's reason, or because of it. Any other failure
 * in the meantime is a fault.
 */
export function isStop(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && isStop(error.cause, signal));
}
