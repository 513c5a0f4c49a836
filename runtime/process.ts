import process from 'node:process';
import type { z } from 'zod';
import { type Clock, systemClock } from './clock.ts';
import { ConfigurationError, parseEnvironment, redact } from './configuration.ts';
import { createLogger, type Logger } from './logger.ts';

type Shape = Record<string, z.ZodType>;

interface ProcessContext<Configuration> {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
}

export interface ServiceProcess<Configuration extends { readonly logLevel: string }, S extends Shape> {
  /** In each log line. */
  readonly name: string;
  readonly configuration: z.ZodObject<S> & z.ZodType<Configuration>;
  run(context: ProcessContext<Configuration>): Promise<void>;
  /** Errors whose message is sufficient; for others the stack is logged as well. */
  isExpected?(error: unknown): boolean;
}

/**
 * The process of a service: configured by its environment variables, stopped by a signal. Exit codes: 0 asked to stop,
 * 1 failed, 64 wrong configuration.
 */
export async function runServiceProcess<Configuration extends { readonly logLevel: string }, S extends Shape>(
  service: ServiceProcess<Configuration, S>,
): Promise<void> {
  const logger = createLogger(service.name, 'info');
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));
  try {
    const configuration = parseEnvironment(service.configuration, process.env) as unknown as Configuration;
    logger.level = configuration.logLevel;
    logger.info({ configuration: redact(service.configuration, { ...configuration }) }, 'starting');
    await service.run({ configuration, clock: systemClock, logger, signal: stop.signal });
    logger.info('stopped');
  } catch (error) {
    const isWrongConfiguration = error instanceof ConfigurationError;
    const isExpected = isWrongConfiguration || service.isExpected?.(error);
    if (isStop(error, stop.signal)) return void logger.info('stopped');
    logger.fatal(isExpected ? { error: (error as Error).message } : { err: error }, 'ended');
    // Pending operations are no longer needed.
    process.exit(isWrongConfiguration ? 64 : 1);
  }
}

/** Pending work fails with the signal's reason, or because of it; any other failure in the meantime is a fault. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && isStop(error.cause, signal));
}

/**
 * The settings of a process from its environment variables. If they are wrong the process ends, with 64.
 *
 * @param tell reports the problem with them
 */
export function readConfiguration<S extends Shape>(
  schema: z.ZodObject<S>,
  tell: (problem: string) => void,
): Readonly<z.output<z.ZodObject<S>>> {
  try {
    return parseEnvironment(schema, process.env);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    tell(error.message);
    return process.exit(64);
  }
}
