/**
 * How a caller may handle a failure:
 *
 * - `transient`: the same request may succeed later; send it again after a pause.
 * - `throttled`: the other side is overloaded; send it again after a longer pause.
 * - `conflict`: the data that it was based on has changed; read and decide again.
 * - `misconfigured`: all such requests fail until settings, rights or the installation are changed.
 * - `rejected`: this particular request fails each time; skip it, others may succeed.
 */
export type Disposition = 'transient' | 'throttled' | 'conflict' | 'misconfigured' | 'rejected';

/**
 * An error with its disposition. Errors of client libraries are translated once, where the call is made; no other code
 * identifies errors by their names.
 */
export interface Failure extends Error {
  readonly disposition: Disposition;
  /** The other side has asked to wait this long. */
  readonly retryAfterMs?: number | undefined;
}

/** The disposition of an error; undefined for unexpected ones, such as a programming error. */
export function dispositionOf(error: unknown): Disposition | undefined {
  return isFailure(error) ? error.disposition : undefined;
}

/** How long the other side has asked to wait; undefined if it has not. */
export function retryAfterOf(error: unknown): number | undefined {
  return isFailure(error) ? error.retryAfterMs : undefined;
}

function isFailure(error: unknown): error is Failure {
  return error instanceof Error && 'disposition' in error;
}
