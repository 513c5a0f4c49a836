import type { Clock } from '@edge-migration/runtime/clock.ts';
import { createQuietLog } from '@edge-migration/runtime/http/quiet-log.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { Counter, type Registry } from 'prom-client';
import { PROBLEM_CODES, type ProblemError } from './problem.ts';

/** Counts each rejected or failed request, and logs at most one of each kind every ten seconds. */
export function createProblemLog(registry: Registry, clock: Pick<Clock, 'monotonic'>, logger: Logger) {
  const counter = new Counter({
    name: 'edge_migration_console_problems_total',
    help: 'Requests that were rejected, or failed, by the code of the response.',
    labelNames: ['code'],
    registers: [registry],
  });
  for (const code of PROBLEM_CODES) counter.inc({ code }, 0);
  const admit = createQuietLog(clock);

  return (problem: ProblemError) => {
    const { code } = problem;
    counter.inc({ code });
    const admitted = admit(code);
    if (admitted === undefined) return;
    const facts = { code, error: problem.message, ...admitted };
    if (problem.status >= 500) logger.error({ ...facts, err: problem.cause }, 'request failed');
    else logger.info(facts, 'request refused');
  };
}
