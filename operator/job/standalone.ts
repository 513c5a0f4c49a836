import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { z } from 'zod';
import { measureConsumption } from './consumption.ts';
import { createRetryContext } from './failure.ts';
import { createMemoryRecord } from './memory-record.ts';
import type { RangeOptions } from './range-options.ts';
import { type Limits, openWorkerStores, type StoreSettings, type WorkerStores } from './stores.ts';

/** Arguments of every worker without Kubernetes. */
interface CommonArguments {
  readonly project: number;
  readonly json: boolean;
}

/** Configuration of every worker without Kubernetes, from its environment. */
interface CommonConfiguration extends Omit<StoreSettings, keyof Limits | 'projectId'> {
  readonly logLevel: string;
  readonly retryBudgetSeconds: number;
  readonly lateWriteSeconds: number;
}

/** One kind of work on a whole project without Kubernetes: requested by arguments and completed by the environment. */
export interface Standalone<Arguments, Schema extends z.ZodObject & z.ZodType<CommonConfiguration>> {
  /** Its name in logs. */
  readonly name: string;
  readonly configuration: Schema;
  /** @throws ConfigurationError that names the wrong argument and shows the usage */
  parseArguments(args: readonly string[]): Arguments;
  chooseLimits(options: Arguments): Limits;
  /** Returns the summary of the run. */
  run(context: StandaloneContext<Arguments, Readonly<z.output<Schema>>>): Promise<object>;
}

export interface StandaloneContext<Arguments, Configuration> {
  readonly arguments: Arguments;
  readonly configuration: Configuration;
  readonly worker: StandaloneWorker;
  readonly signal: AbortSignal;
  /** Receives a line of progress for people from time to time. */
  readonly onLine: (line: string) => void;
  /** Time since the start of the run. */
  readonly seconds: () => number;
}

/** Its options; only the kind of work knows the range and the settings. It is never resumed. */
type StandaloneWorker = Omit<RangeOptions<never, never, never>, 'range' | 'settings' | 'onProgress'> & {
  readonly stores: WorkerStores;
};

/**
 * Returns the function that does the work in this process. Its log and lines go to standard error; the summary goes to
 * standard output, for people or, with `--json`, as one JSON object.
 */
export function createStandalone<
  Arguments extends CommonArguments,
  Schema extends z.ZodObject & z.ZodType<CommonConfiguration>,
>({ name, configuration: schema, parseArguments, chooseLimits, run }: Standalone<Arguments, Schema>) {
  return async (args: readonly string[], signal: AbortSignal): Promise<void> => {
    const clock = systemClock;
    const options = parseArguments(args);
    const configuration = parseEnvironment(schema, process.env);
    const started = clock.monotonic();
    const logger = createLogger(name, configuration.logLevel, process.stderr.fd);
    const retryOptions = { clock, logger, retryBudgetMs: configuration.retryBudgetSeconds * 1000 };
    const settings = { ...configuration, projectId: options.project, ...chooseLimits(options) };
    await using stores = await openWorkerStores(settings, createRetryContext(retryOptions, signal));
    const summary = await run({
      arguments: options,
      configuration,
      worker: {
        ...retryOptions,
        ...{ stores, project: stores.project, record: createMemoryRecord(), instance: 'standalone' },
        lateWriteMs: configuration.lateWriteSeconds * 1000,
      },
      signal,
      onLine: (line) => process.stderr.write(`${line}\n`),
      seconds: () => (clock.monotonic() - started) / 1000,
    });
    printSummary({ projectId: options.project, ...summary, ...measureConsumption() }, options.json);
  };
}

function printSummary(summary: object, json: boolean): void {
  const lines = Object.entries(summary).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  process.stdout.write(json ? `${JSON.stringify(summary)}\n` : `${lines.join('\n')}\n`);
}
