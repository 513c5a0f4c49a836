import type { Clock } from '@edge-migration/runtime/clock.ts';
import { SIDECAR_DRAIN_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { Spool } from './spool/spool.ts';

/**
 * Waits until the stream has the events of all requests, with what earlier processes left if that can be read, or until
 * `until`, by the monotonic clock.
 */
export async function drainSpool(spool: Pick<Spool, 'facts'>, clock: Clock, until: number): Promise<void> {
  while (isAnythingLeft(spool) && clock.monotonic() < until) await clock.sleep(SIDECAR_DRAIN_POLL_MS);
}

function isAnythingLeft(spool: Pick<Spool, 'facts'>): boolean {
  const { depth, open, leftovers } = spool.facts();
  return depth > 0 || open > 0 || leftovers === 'reading';
}
