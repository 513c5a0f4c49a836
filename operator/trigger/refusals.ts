import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { Counter, type Registry } from 'prom-client';
import { BodyRefused } from '../http/body.ts';
import { errorMessage } from '../kubernetes/errors.ts';
import { ProtocolError } from './put-events.ts';
import { ReplaysFull } from './replays.ts';
import { SignatureError } from './signature.ts';

/** Unauthenticated clients can send any number of requests, and must not fill the log. */
const EVERY_MILLISECONDS = 10_000;

export function createRefusalCounter(registry: Registry): Counter {
  return new Counter({
    name: 'edge_migration_trigger_refused_requests_total',
    help: 'Requests that were refused before any event of theirs was looked at, or failed, by error code.',
    labelNames: ['code'],
    registers: [registry],
  });
}

/** Counts each request that is refused, and logs those of one kind every ten seconds at most. */
export function createRefusalLog(refused: Counter, clock: Pick<Clock, 'monotonic'>, logger: Logger) {
  const logged = new Map<string, { at: number; silent: number }>();

  return (error: unknown) => {
    const code = nameCode(error);
    refused.inc({ code });
    const last = logged.get(code);
    if (last !== undefined && clock.monotonic() - last.at < EVERY_MILLISECONDS) {
      last.silent += 1;
      return;
    }
    logged.set(code, { at: clock.monotonic(), silent: 0 });
    const facts = { code, error: errorMessage(error), silent: last?.silent ?? 0 };
    if (code === 'InternalException') logger.error({ ...facts, err: error }, 'request failed');
    else logger.warn(facts, 'request refused');
  };
}

/** One of a few names, whatever was sent. */
function nameCode(error: unknown): string {
  if (error instanceof ProtocolError || error instanceof SignatureError) return error.code;
  if (error instanceof BodyRefused) return 'RequestRefused';
  return error instanceof ReplaysFull ? 'ThrottlingException' : 'InternalException';
}
