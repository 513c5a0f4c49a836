import process from 'node:process';
import type { z } from 'zod';
import { type Clock, systemClock } from './clock.ts';
import { ConfigurationError, type logSettings, parseEnvironment, redact } from './configuration.ts';
import { createLogger, type Logger } from './logger.ts';
import { isStop, stopSignal } from './stop.ts';

/** The exit code of a wrong configuration: EX_USAGE of sysexits.h. */
export const MISCONFIGURED = 64;

/** Every service has the settings of a log. */
type ServiceSchema = z.ZodObject<typeof logSettings>;

interface ProcessContext<Configuration> {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
}

export interface ServiceProcess<Schema extends ServiceSchema> {
  /** In each log line. */
  readonly name: string;
  readonly configuration: Schema;
  run(context: ProcessContext<Readonly<z.output<Schema>>>): Promise<void>;
  /** Errors whose message is sufficient; for others the stack is logged as well. */
  isExpected?(error: unknown): boolean;
}

/**
 * The process of a service: configured by its environment variables, stopped by a signal. Exit codes: 0 asked to stop,
 * 1 failed, 64 wrong configuration.
 */
export async function runServiceProcess<Schema extends ServiceSchema>(service: ServiceProcess<Schema>): Promise<void> {
  const logger = createLogger(service.name, 'info');
  const signal = stopSignal();
  try {
    const configuration = parseEnvironment(service.configuration, process.env);
    logger.level = configuration.logLevel;
    logger.info({ configuration: redact(service.configuration, { ...configuration }) }, 'starting');
    await service.run({ configuration, clock: systemClock, logger, signal });
    logger.info('stopped');
  } catch (error) {
    if (isStop(error, signal)) return void logger.info('stopped');
    const isWrongConfiguration = error instanceof ConfigurationError;
    const isExpected = isWrongConfiguration || service.isExpected?.(error);
    logger.fatal(isExpected ? { error: (error as Error).message } : { err: error }, 'ended');
    // Pending operations are no longer needed.
    process.exit(isWrongConfiguration ? MISCONFIGURED : 1);
  }
}

export interface ToolProcess<Schema extends z.ZodObject> {
  readonly configuration: Schema;
  /** @returns the exit code */
  run(context: { readonly configuration: Readonly<z.output<Schema>>; readonly clock: Clock }): Promise<number>;
  /** Reports what is wrong with the configuration. */
  onMisconfigured(problem: string): void;
}

/**
 * The process of a program that does one thing, for people or another program, and ends. Exit codes: what `run` returns,
 * 1 failed, 64 wrong configuration.
 */
export async function runToolProcess<Schema extends z.ZodObject>(tool: ToolProcess<Schema>): Promise<never> {
  try {
    const configuration = parseEnvironment(tool.configuration, process.env);
    process.exitCode = await tool.run({ configuration, clock: systemClock });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    tool.onMisconfigured(error.message);
    process.exitCode = MISCONFIGURED;
  }
  // Pending operations that are no longer needed must not keep the process alive.
  process.exit();
}
