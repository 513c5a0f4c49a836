import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { z } from 'zod';
import { measureConsumption } from './consumption.ts';
import { patienceOf } from './failure.ts';
import { createMemoryRecord } from './memory-record.ts';
import type { RangeOptions } from './range-options.ts';
import { type Limits, openWorkerStores, type StoreSettings, type WorkerStores } from './stores.ts';

/** What every worker is told by arguments when it works alone. */
interface CommonArguments {
  readonly project: number;
  readonly json: boolean;
}

/** What every worker finds in its environment then. */
interface CommonConfiguration extends Omit<StoreSettings, keyof Limits | 'projectId'> {
  readonly logLevel: string;
  readonly patienceSeconds: number;
  readonly lateWriteSeconds: number;
}

/** One kind of work on a whole project without Kubernetes: asked for by arguments, which the environment completes. */
export interface Standalone<Arguments, Configuration, Shape extends Record<string, z.ZodType>> {
  /** In logs. */
  readonly name: string;
  readonly configuration: z.ZodObject<Shape> & z.ZodType<Configuration>;
  /** @throws ConfigurationError that says which argument is wrong, and how to call it */
  parseArguments(args: readonly string[]): Arguments;
  chooseLimits(options: Arguments): Limits;
  /** Returns what the run amounts to. */
  run(context: StandaloneContext<Arguments, Configuration>): Promise<object>;
}

export interface StandaloneContext<Arguments, Configuration> {
  readonly arguments: Arguments;
  readonly configuration: Configuration;
  readonly worker: StandaloneWorker;
  readonly signal: AbortSignal;
  /** For people: a line now and then. */
  readonly onLine: (line: string) => void;
  /** Since the run began. */
  readonly seconds: () => number;
}

/** With what it works; only its kind knows the range and the settings. Nobody resumes it. */
type StandaloneWorker = Omit<RangeOptions<never, never, never>, 'range' | 'settings' | 'onProgress'> & {
  readonly stores: WorkerStores;
};

/**
 * The function that does such work in this process. Its log and lines go to standard error; the summary goes to
 * standard output, for people or, with `--json`, as one JSON object.
 */
export function createStandalone<
  Arguments extends CommonArguments,
  Configuration extends CommonConfiguration,
  Shape extends Record<string, z.ZodType>,
>({ name, configuration: schema, parseArguments, chooseLimits, run }: Standalone<Arguments, Configuration, Shape>) {
  return async (args: readonly string[], signal: AbortSignal): Promise<void> => {
    const clock = systemClock;
    const options = parseArguments(args);
    const configuration = parseEnvironment(schema, process.env) as unknown as Configuration;
    const started = clock.monotonic();
    const logger = createLogger(name, configuration.logLevel, process.stderr.fd);
    const patience = { clock, logger, patienceMs: configuration.patienceSeconds * 1000 };
    const settings = { ...configuration, projectId: options.project, ...chooseLimits(options) };
    await using stores = await openWorkerStores(settings, patienceOf(patience, signal));
    const summary = await run({
      arguments: options,
      configuration,
      worker: {
        ...patience,
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
