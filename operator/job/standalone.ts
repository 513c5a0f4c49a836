import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger, type Logger } from '@edge-migration/runtime/logger.ts';
import type { z } from 'zod';

/** A worker's work on a whole project without Kubernetes: asked for by arguments, which the environment completes. */
export interface Standalone<Arguments, Configuration, Shape extends Record<string, z.ZodType>> {
  /** In logs. */
  readonly name: string;
  readonly configuration: z.ZodObject<Shape> & z.ZodType<Configuration>;
  /** @throws ConfigurationError that says which argument is wrong, and how to call it */
  parseArguments(args: readonly string[]): Arguments;
  /** Returns what the run amounts to. */
  run(context: StandaloneContext<Arguments, Configuration>): Promise<object>;
}

export interface StandaloneContext<Arguments, Configuration> {
  readonly arguments: Arguments;
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** For people: a line now and then. */
  readonly onLine: (line: string) => void;
}

/**
 * The function that does such work in this process. Its log and lines go to standard error; the summary goes to
 * standard output, for people or, with `--json`, as one JSON object.
 */
export function createStandalone<
  Arguments extends { readonly json: boolean },
  Configuration extends { readonly logLevel: string },
  Shape extends Record<string, z.ZodType>,
>({ name, configuration: schema, parseArguments, run }: Standalone<Arguments, Configuration, Shape>) {
  return async (args: readonly string[], signal: AbortSignal): Promise<void> => {
    const options = parseArguments(args);
    const configuration = parseEnvironment(schema, process.env) as unknown as Configuration;
    const summary = await run({
      arguments: options,
      configuration,
      clock: systemClock,
      logger: createLogger(name, configuration.logLevel, process.stderr.fd),
      signal,
      onLine: (line) => process.stderr.write(`${line}\n`),
    });
    printSummary(summary, options.json);
  };
}

function printSummary(summary: object, json: boolean): void {
  const lines = Object.entries(summary).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  process.stdout.write(json ? `${JSON.stringify(summary)}\n` : `${lines.join('\n')}\n`);
}
