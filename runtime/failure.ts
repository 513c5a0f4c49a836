/**
 * What a caller may do about a failure:
 *
 * - `transient`: the same request may well succeed later; send it again after a pause.
 * - `throttled`: the other side asks for less; send it again after a longer pause.
 * - `conflict`: what it was decided by has changed meanwhile; read again and decide again.
 * - `misconfigured`: everything of this kind fails until a person changes settings, rights or the installation.
 * - `rejected`: this very request fails each time; leave it, others may succeed.
 */
export type Disposition = 'transient' | 'throttled' | 'conflict' | 'misconfigured' | 'rejected';

/**
 * An error that says what may be done about it. What a client library throws is translated into such errors once, where
 * the call is made; nobody tells errors apart by their names.
 */
export interface Failure extends Error {
  readonly disposition: Disposition;
  /** The other side has asked not to come back earlier. */
  readonly retryAfterMs?: number | undefined;
}

/** The disposition that an error has; undefined for all that nobody has thought of, such as a programming error. */
export function dispositionOf(error: unknown): Disposition | undefined {
  return isFailure(error) ? error.disposition : undefined;
}

/** How long the other side has asked to wait; undefined where it has not. */
export function retryAfterOf(error: unknown): number | undefined {
  return isFailure(error) ? error.retryAfterMs : undefined;
}

function isFailure(error: unknown): error is Failure {
  return error instanceof Error && 'disposition' in error;
}
