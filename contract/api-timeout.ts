import { z } from 'zod';

/** The maximum difference between the clocks of different nodes. */
const CLOCKS_SECONDS = 5;

/**
 * The maximum time that the Core API works on a request (gunicorn's time-out); the same setting for operator and
 * appliers. It is longer than the time for which appliers cache the owner of a key.
 */
export const apiTimeoutSeconds = z.coerce.number().min(10).max(600).default(60);

/** Milliseconds after its end, or its connection's end, was observed until a request can no longer change Core. */
export function afterRequestMs(timeoutSeconds: number): number {
  return 1000 * (timeoutSeconds + CLOCKS_SECONDS);
}
