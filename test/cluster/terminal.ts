import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from './wait.ts';

const execute = promisify(execFile);

/** CI must not skip the terminal: there a missing tmux is a failure. */
export const canOpenTerminal = spawnSync('tmux', ['-V']).status === 0 || process.env['CI'] !== undefined;
if (!canOpenTerminal) process.stdout.write('No tmux: what people see on a terminal is not tried\n');

/** A terminal with a shell, as a person uses it: takes keys, and shows the screen. */
export interface TestTerminal extends AsyncDisposable {
  /** Types a line and Enter. */
  type(line: string): Promise<void>;
  /** The current screen, without empty lines at its end. */
  screen(): Promise<string>;
  /** Waits until the screen shows it, which a typed line must not do by itself. @returns the screen */
  sees(what: RegExp, timeoutMs?: number): Promise<string>;
  /** Types a command and waits for its end. @returns the screen, and the exit code */
  run(line: string, timeoutMs?: number): Promise<{ screen: string; code: number }>;
}

const COLUMNS = 130;
const ROWS = 50;

/** Opens a separate tmux terminal, whose shell has this environment and nothing of the user's own. */
export async function openTerminal(environment: Readonly<Record<string, string>>): Promise<TestTerminal> {
  const folder = await mkdtemp(join(tmpdir(), 'terminal-'));
  const socket = join(folder, 'socket');
  // A tmux shell has the environment of its first client, PATH included.
  const env = { LANG: 'C.UTF-8', ...environment };
  const tmux = async (...args: string[]) =>
    (await execute('tmux', ['-S', socket, '-f', '/dev/null', ...args], { env })).stdout;
  const size = ['-x', String(COLUMNS), '-y', String(ROWS)];
  await tmux('new-session', '-d', '-s', 'main', ...size, 'sh');
  let commands = 0;

  const screen = async () => (await tmux('capture-pane', '-p', '-t', 'main')).trimEnd();

  async function type(line: string): Promise<void> {
    await tmux('send-keys', '-t', 'main', '-l', line);
    await tmux('send-keys', '-t', 'main', 'Enter');
  }

  async function sees(what: RegExp, timeoutMs = 120_000): Promise<string> {
    let last = '';
    const isThere = async () => {
      last = await screen();
      return what.test(last);
    };
    try {
      await waitFor(isThere, { for: `the screen to show ${what}`, timeoutMs, intervalMs: 200 });
    } catch (error) {
      throw new Error(`${(error as Error).message}; it shows:\n${last}`, { cause: error });
    }
    return last;
  }

  return {
    type,
    screen,
    sees,
    async run(line, timeoutMs) {
      commands += 1;
      // The typed line shows `$?`, so only the answer has a number after its mark.
      const mark = `end-${commands}:`;
      await type(`clear; ${line}; echo ${mark}$?`);
      const shown = await sees(new RegExp(`${mark}\\d+`), timeoutMs);
      const code = Number(new RegExp(`${mark}(\\d+)`).exec(shown)?.[1]);
      return { screen: shown, code };
    },
    async [Symbol.asyncDispose]() {
      await tmux('kill-server').catch(() => {});
      await rm(folder, { recursive: true });
    },
  };
}
