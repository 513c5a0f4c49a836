import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';

/** Where a command writes to and whom it asks. */
export interface Terminal {
  /** Standard output is a terminal that can move its cursor. */
  readonly isInteractive: boolean;
  /** Columns of the terminal; a wide line where there is none. */
  readonly columns: number;
  /** Lines of the terminal. */
  readonly rows: number;
  /** Writes to standard output, as it is. */
  write(text: string): void;
  /** Writes a line to standard error. */
  warn(line: string): void;
  /** The text in this style, or as it is where colour is not wanted. */
  paint(style: Style, text: string): string;
  /** The answer to a question of yes or no; undefined when there is no terminal to ask on. */
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
      // Some terminals say 0 before they know.
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
      // While it reads keys, Ctrl-C is one of them.
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
