import { styleText } from 'node:util';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';

/** The demo's output for a person; plain lines when standard output is not a terminal. */
export interface Screen {
  heading(text: string): void;
  line(text?: string): void;
  /** Indented, dimmed: manifests and commands. */
  quote(text: string): void;
  /** Runs one step, shows that it is running, and prints how long it took. */
  step<T>(text: string, run: (step: Step) => Promise<T>): Promise<T>;
  /** A bar that moves in place, or a line when there is something new. */
  progress(share: number, text: string): void;
  endProgress(): void;
}

/** A step that is under way. */
export interface Step {
  /** Its progress. */
  say(state: string): void;
}

/** The screen's output. */
export type Output = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number };

const BAR_WIDTH = 30;
const REDRAW_MS = 1_000;
/** In plain lines: the minimum interval between changes, and between signs of life. */
const NEWS_MS = 5_000;
const SILENCE_MS = 10_000;

export function createScreen(stream: Output, clock: Pick<Clock, 'monotonic'> = systemClock): Screen {
  const isTerminal = stream.isTTY === true;
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    isTerminal ? styleText(format, text, { validateStream: false }) : text;
  const print = (text: string) => void stream.write(`${text}\n`);
  /** A line that is redrawn in place. It is cut to fit: a wrapped one would leave its first half behind. */
  const redraw = (text: string, before = { text: '', width: 0 }) => {
    const room = (stream.columns ?? 80) - 1 - before.width;
    stream.write(`\r\x1b[K${before.text}${text.length > room ? `${text.slice(0, room - 1)}…` : text}`);
  };
  const drawBar = (share: number) => {
    const filled = Math.round(Math.min(1, share) * BAR_WIDTH);
    const bar = `${style('green', '█'.repeat(filled))}${style('dim', '░'.repeat(BAR_WIDTH - filled))}`;
    return { text: `  ${bar} `, width: BAR_WIDTH + 3 };
  };
  let news: News | undefined;

  return {
    heading: (text) => print(`\n${style('bold', text)}`),
    line: (text = '') => print(text === '' ? '' : `  ${text}`),
    quote: (text) => print(style('dim', text.trimEnd().replace(/^/gm, '    '))),
    async step(text, run) {
      const start = clock.monotonic();
      const stepNews = createNews(clock, start);
      let state = '';
      const show = () => {
        const line = `  … ${text}${state === '' ? '' : `: ${state}`}`;
        if (isTerminal) redraw(`${line} (${Math.round((clock.monotonic() - start) / 1000)} s)`);
        else for (const each of stepNews(line)) print(each);
      };
      const end = (mark: string, after = '') => {
        clearInterval(timer);
        if (isTerminal) stream.write('\r\x1b[K');
        print(`  ${mark} ${text}${after}`);
      };
      const timer = setInterval(show, REDRAW_MS);
      show();
      try {
        const say = (next: string) => {
          state = next;
          show();
        };
        const result = await run({ say });
        end(style('green', '✓'), ` ${style('dim', `(${((clock.monotonic() - start) / 1000).toFixed(1)} s)`)}`);
        return result;
      } catch (error) {
        end(style('red', '✗'));
        throw error;
      }
    },
    progress(share, text) {
      news ??= createNews(clock);
      if (isTerminal) redraw(text, drawBar(share));
      else for (const each of news(`  ${text}`)) print(each);
    },
    endProgress() {
      news = undefined;
      if (isTerminal) stream.write('\n');
    },
  };
}

/** The lines to print for a text that may have changed: none or one. */
type News = (text: string) => string[];

/** Texts worth a line: new ones, and now and then that one is still the same. */
function createNews(clock: Pick<Clock, 'monotonic'>, start = Number.NEGATIVE_INFINITY): News {
  let said = start;
  let last = { text: '', since: clock.monotonic() };
  return (text) => {
    const now = clock.monotonic();
    if (text !== last.text) last = { text, since: now };
    const age = now - last.since;
    const isDue = now - said >= (age === 0 ? NEWS_MS : SILENCE_MS);
    if (!isDue) return [];
    said = now;
    return [age < NEWS_MS ? text : `${text} (for ${Math.round(age / 1000)} s)`];
  };
}
