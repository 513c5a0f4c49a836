import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';

/** Output and prompts of a command. */
export interface Terminal {
  /** Whether standard output is a terminal that can move its cursor. */
  readonly isInteractive: boolean;
  /** Columns of the terminal; a wide line without a terminal. */
  readonly columns: number;
  /** Lines of the terminal. */
  readonly rows: number;
  /** Writes to standard output unchanged. */
  write(text: string): void;
  /** Writes a line to standard error. */
  warn(line: string): void;
  /** The text in this style, or unchanged if colour is off. */
  paint(style: Style, text: string): string;
  /** The answer to a yes-or-no question; undefined if there is no terminal to ask on. */
  confirm(question: string, signal: AbortSignal): Promise<boolean | undefined>;
}

/** The process's own terminal. Colour: on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb` (https://no-color.org). */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const isInteractive = stdout.isTTY === true && env['TERM'] !== 'dumb';
  const hasColour = isInteractive && !env['NO_COLOR'];
  return {
    isInteractive,
    get columns() {
      // Some terminals report 0 at first.
      return stdout.columns || 200;
    },
    get rows() {
      return stdout.rows || 1000;
    },
    write: (text) => void stdout.write(text),
    warn: (line) => void stderr.write(`${line}\n`),
    paint: (style, text) => (hasColour ? styleText(style, text, { validateStream: false }) : text),
    async confirm(question, signal) {
      if (!stdin.isTTY || !stderr.isTTY) return undefined;
      const reader = createInterface({ input: stdin, output: stderr });
      // In raw mode Ctrl-C is an ordinary key.
      reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      // A closed input (Ctrl-D) never answers.
      const closed = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
      try {
        const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal }), closed]);
        return /^y(es)?$/i.test(answer.trim());
      } finally {
        reader.close();
      }
    },
  };
}
