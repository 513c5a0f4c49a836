import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

/**
 * The process's log: one JSON object a line on standard output (or another descriptor), RFC 3339 times, level as a word.
 * Bind the project and the CR's uid with `child()`. At `info` and above never log identifiers, trait values or keys.
 */
export function createLogger(process: string, level: string, fileDescriptor = 1): Logger {
  return pino(
    {
      level,
      base: { process },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination(fileDescriptor),
  );
}
