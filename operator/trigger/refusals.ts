import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { BodyRefusedError } from '@edge-migration/runtime/http/body.ts';
import { createQuietLog } from '@edge-migration/runtime/http/quiet-log.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { Counter, type Registry } from 'prom-client';
import { ProtocolError } from './put-events.ts';
import { ReplaysFullError } from './replays.ts';
import { SignatureError } from './signature.ts';

export function createRefusalCounter(registry: Registry): Counter {
  return new Counter({
    name: 'edge_migration_trigger_refused_requests_total',
    help: 'Requests that were refused before any of their events was read, or failed, by error code.',
    labelNames: ['code'],
    registers: [registry],
  });
}

/** Counts each rejected request, and logs at most one of each kind every ten seconds. */
export function createRefusalLog(refused: Counter, clock: Pick<Clock, 'monotonic'>, logger: Logger) {
  const admit = createQuietLog(clock);

  return (error: unknown) => {
    const code = nameCode(error);
    refused.inc({ code });
    const admitted = admit(code);
    if (admitted === undefined) return;
    const facts = { code, error: errorMessage(error), ...admitted };
    if (code === 'InternalException') logger.error({ ...facts, err: error }, 'request failed');
    else logger.warn(facts, 'request refused');
  };
}

/** One of a few names, independent of the request. */
function nameCode(error: unknown): string {
  if (error instanceof ProtocolError || error instanceof SignatureError) return error.code;
  if (error instanceof BodyRefusedError) return 'RequestRefused';
  return error instanceof ReplaysFullError ? 'ThrottlingException' : 'InternalException';
}
