import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';

/** Request header that provokes a fault in this request only, as in `X-Fixture-Fault: delay-after=500, crash-after`. */
const FAULT_HEADER = 'x-fixture-fault';

const number = z.coerce.number().int().nonnegative();

const faults = z.strictObject({
  /** Milliseconds before the view starts, or between its last commit and the answer. */
  'delay-before': number.optional(),
  'delay-after': number.optional(),
  /** The same until the Postgres advisory lock of that key is free, so that a test decides when it continues. */
  'lock-before': z.coerce.bigint().optional(),
  'lock-after': z.coerce.bigint().optional(),
  /** The worker dies before the view, between its last commit and the answer, or right after its nth commit. */
  'crash-before': z.literal('').optional(),
  'crash-after': z.literal('').optional(),
  'crash-after-write': number.optional(),
  /** The connection is reset instead of an answer; the worker lives. */
  'reset-after': z.literal('').optional(),
  /** The body is never read, and the request never answered. */
  'stop-reading': z.literal('').optional(),
});

export type Faults = z.infer<typeof faults>;

/** @throws Error on an unknown fault: a misspelt one would let a test pass */
export function parseFaults(text: string): Faults {
  const parts = text.split(',').map((part) => part.trim());
  const entries = parts.filter((part) => part !== '').map((part) => part.split('=', 2) as [string, string?]);
  const result = faults.safeParse(Object.fromEntries(entries.map(([name, value = '']) => [name, value])));
  if (!result.success) throw new Error(`${FAULT_HEADER}: ${z.prettifyError(result.error)}`);
  return result.data;
}

/** The faults of one request. @throws Error as {@link parseFaults} */
export function faultsOf(
  { fault = '', acceptFaults = false }: { readonly fault?: string; readonly acceptFaults?: boolean },
  headers: IncomingHttpHeaders,
): Faults {
  const own = acceptFaults ? headers[FAULT_HEADER] : undefined;
  return parseFaults(own === undefined ? fault : String(own));
}

/** The worker died in the middle of a request. */
export class CrashedError extends Error {
  override readonly name = 'CrashedError';
}
