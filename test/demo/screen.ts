import { styleText } from 'node:util';

/** What the demo shows a person; plain lines when standard output is no terminal. */
export interface Screen {
  heading(text: string): void;
  line(text?: string): void;
  /** Indented, dimmed: manifests and commands. */
  quote(text: string): void;
  /** Runs one step, and says how long it took. */
  step<T>(text: string, run: () => Promise<T>): Promise<T>;
  /** A bar that moves in place, or a line every few seconds. */
  progress(share: number, text: string): void;
  endProgress(): void;
}

const BAR_WIDTH = 30;
const PLAIN_INTERVAL_MILLISECONDS = 5_000;

export function createScreen(stream: NodeJS.WriteStream): Screen {
  const isTerminal = stream.isTTY === true;
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    isTerminal ? styleText(format, text, { stream }) : text;
  const print = (text: string) => stream.write(`${text}\n`);
  let lastPlain = Number.NEGATIVE_INFINITY;

  return {
    heading: (text) => print(`\n${style('bold', text)}`),
    line: (text = '') => print(text === '' ? '' : `  ${text}`),
    quote: (text) => print(style('dim', text.trimEnd().replace(/^/gm, '    '))),
    async step(text, run) {
      const started = performance.now();
      if (isTerminal) stream.write(`  … ${text}`);
      const result = await run();
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      if (isTerminal) stream.write('\r\x1b[K');
      print(`  ${style('green', '✓')} ${text} ${style('dim', `(${seconds} s)`)}`);
      return result;
    },
    progress(share, text) {
      if (isTerminal) {
        const filled = Math.round(Math.min(1, share) * BAR_WIDTH);
        const bar = `${style('green', '█'.repeat(filled))}${style('dim', '░'.repeat(BAR_WIDTH - filled))}`;
        stream.write(`\r\x1b[K  ${bar} ${text}`);
        return;
      }
      if (performance.now() - lastPlain < PLAIN_INTERVAL_MILLISECONDS) return;
      lastPlain = performance.now();
      print(`  ${text}`);
    },
    endProgress() {
      if (isTerminal) stream.write('\n');
    },
  };
}
