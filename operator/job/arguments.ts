import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';

export const textOption = { type: 'string' } as const;
export const flag = { type: 'boolean' } as const;

export const integer = z.coerce.number().int().positive();

/** Arguments of every worker without Kubernetes. */
export const workerArguments = {
  project: integer,
  /** Maximum number of units per second. */
  rate: integer.default(4000),
  'page-size': integer.max(5000).default(1000),
  'on-conflict': z.enum(['KeepEdge', 'CoreWins']).default('KeepEdge'),
  report: z.string().optional(),
  json: z.boolean().default(false),
};

/** Their syntax. */
export const workerOptions = {
  ...{ project: textOption, rate: textOption, 'page-size': textOption, 'on-conflict': textOption, report: textOption },
  json: flag,
} as const;

/**
 * Parses a worker's command line.
 *
 * @throws ConfigurationError that names the wrong argument and shows the usage
 */
export function parseCommandLine<T>(
  args: readonly string[],
  options: NonNullable<ParseArgsConfig['options']>,
  schema: z.ZodType<T>,
  usage: string,
): T {
  try {
    return schema.parse(parseArgs({ args: [...args], options }).values);
  } catch (error) {
    const problem =
      error instanceof z.ZodError
        ? error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('; ')
        : (error as Error).message;
    throw new ConfigurationError(`${problem}\n\n${usage}`, { cause: error });
  }
}
