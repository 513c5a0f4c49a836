import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

/**
 * The process's log: one JSON object a line on standard output (or another descriptor), RFC 3339 times, level as a word.
 * Bind the project and the CR's uid with `child()`. At `info` and above never log identifiers, trait values or keys.
 * Messages are sentences in lower case without a full stop; `err` is an error with its stack, `error` the message of one
 * that needs none.
 */
export function createLogger(process: string, level: string, fileDescriptor = 1): Logger {
  return pino(optionsOf(process, level), destination(fileDescriptor));
}

/** The log lines that are buffered in memory. */
const MAX_WAITING_CHARACTERS = 1024 * 1024;

/**
 * For a process that must not block on its log: a container's output is a pipe, and its reader may wait for a disk.
 * Lines are written by another thread, and dropped above a megabyte.
 *
 * @param onDrop called for each line that is dropped
 */
export function createNonBlockingLogger(process: string, level: string, onDrop: () => void): Logger {
  const output = destination({ dest: 1, sync: false, maxLength: MAX_WAITING_CHARACTERS });
  output.on('drop', onDrop);
  return pino(optionsOf(process, level), output);
}

function optionsOf(process: string, level: string) {
  return {
    level,
    base: { process },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
}
