import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { Counter, type Registry } from 'prom-client';
import { PROBLEM_CODES, type Problem, type ProblemCode } from './problem.ts';

/** Strangers can send any number of requests, and must not fill the log. */
const EVERY_MILLISECONDS = 10_000;

/** Counts each request that is refused or fails, and logs those of one kind every ten seconds at most. */
export function createProblemLog(registry: Registry, clock: Pick<Clock, 'monotonic'>, logger: Logger) {
  const counter = new Counter({
    name: 'edge_migration_console_problems_total',
    help: 'Requests that were refused, or failed, by the code of their answer.',
    labelNames: ['code'],
    registers: [registry],
  });
  for (const code of PROBLEM_CODES) counter.inc({ code }, 0);
  const logged = new Map<ProblemCode, { at: number; silent: number }>();

  return (problem: Problem) => {
    const { code } = problem;
    counter.inc({ code });
    const last = logged.get(code);
    if (last !== undefined && clock.monotonic() - last.at < EVERY_MILLISECONDS) {
      last.silent += 1;
      return;
    }
    logged.set(code, { at: clock.monotonic(), silent: 0 });
    const facts = { code, error: problem.message, silent: last?.silent ?? 0 };
    if (problem.status >= 500) logger.error({ ...facts, err: problem.cause }, 'request failed');
    else logger.info(facts, 'request refused');
  };
}
