import { z } from 'zod';

/** What the clocks of different nodes may differ by. */
const CLOCKS_SECONDS = 5;

/**
 * The Core API may work so long on a request, as gunicorn's time-out says; a setting of operator and appliers alike. It
 * is longer than appliers remember whose a key is.
 */
export const apiTimeoutSeconds = z.coerce.number().min(10).max(600).default(60);

/** Milliseconds after whose end, or whose connection's end, was seen a request cannot change Core any more. */
export function afterRequestMs(timeoutSeconds: number): number {
  return 1000 * (timeoutSeconds + CLOCKS_SECONDS);
}
