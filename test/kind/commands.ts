import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** A command line tool failed; the message contains its standard error. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export interface CommandOptions {
  input?: string | undefined;
  env?: Readonly<Record<string, string | undefined>>;
  /** Its output is shown as it arrives, on standard error, instead of being returned. */
  show?: boolean;
}

/**
 * Runs a command to its end and returns its standard output.
 *
 * @throws CommandError when it fails or is not installed
 */
export async function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, env, show = false } = options;
  const child = spawn(command, args, {
    env: { ...process.env, ...env } as NodeJS.ProcessEnv,
    stdio: [input === undefined ? 'ignore' : 'pipe', show ? 2 : 'pipe', show ? 2 : 'pipe'],
  });
  child.stdin?.end(input);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    const [code, stdout, stderr] = await Promise.all([
      ended,
      child.stdout === null ? '' : text(child.stdout),
      child.stderr === null ? '' : text(child.stderr),
    ]);
    if (code === 0) return stdout;
    throw new CommandError(`${command} ${args.join(' ')} failed (${code}): ${stderr.trim()}`);
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(`${command} could not be run: ${(cause as Error).message}`, { cause });
  }
}
