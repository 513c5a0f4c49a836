import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { Argument, Command, CommanderError } from 'commander';
import { type ClusterOptions, openCluster } from './cluster.ts';
import { addChangingCommands } from './command-line/changing.ts';
import { addReadingCommands } from './command-line/reading.ts';
import { COMPLETE, complete, SCRIPTS, SHELLS, type Shell } from './completion.ts';
import type { Context } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { Terminal } from './terminal.ts';

export interface ProgramSettings {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs a command on the cluster that its options name. */
export type Run = (options: ClusterOptions, command: (context: Context) => Promise<ExitCode>) => Promise<void>;

/** Runs the program. @param args without Node and the script. @returns the exit code; never throws for a user error */
export async function runProgram(args: readonly string[], settings: ProgramSettings): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  const run: Run = async (options, command) => {
    const cluster = openCluster(options, settings.clock);
    try {
      code = await command({ cluster, ...settings });
    } finally {
      await cluster.client.close();
    }
  };
  try {
    const program = createProgram(settings.terminal, run);
    const [name, ...words] = args;
    if (name === COMPLETE)
      settings.terminal.write(
        complete(program, words)
          .map((word) => `${word}\n`)
          .join(''),
      );
    else await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, settings);
  }
}

const EXIT_CODES = `
Exit codes: 0 done, 1 the cluster could not be asked or refused, 2 wrong usage, 3 not found,
4 not possible in this state, 5 not confirmed, 6 a migration or a check has failed, 130 interrupted.`;

/** The width of help texts, which are also in docs/cli.md. */
const HELP_COLUMNS = 100;

/** The whole command line; docs/cli.md has the help of each command. */
export function createProgram(terminal: Terminal, run: Run): Command {
  const program = new Command('kubectl edge-migration')
    .description('Plans, starts, watches and finishes migrations of Flagsmith projects from Core to Edge.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.warn(text.trimEnd()),
      getOutHelpWidth: () => Math.min(terminal.columns, HELP_COLUMNS),
      getErrHelpWidth: () => Math.min(terminal.columns, HELP_COLUMNS),
    })
    .helpCommand('help [command]', 'Shows the help of a command.')
    .helpOption('-h, --help', 'Shows this help.')
    .showSuggestionAfterError()
    .addHelpText('after', EXIT_CODES);
  addReadingCommands(program, run);
  addChangingCommands(program, run);
  program
    .command('completion')
    .description('Prints the shell code that completes `edge-migration`.')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action((shell: Shell) => terminal.write(SCRIPTS[shell]));
  for (const command of program.commands) command.helpOption('-h, --help', 'Shows this help.');
  return program;
}

function explain(error: unknown, { terminal, signal }: ProgramSettings): ExitCode {
  // Requested help is a success; commander has already printed it.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (signal.aborted) return EXIT.interrupted;
  if (error instanceof CommandError) {
    terminal.warn(`error: ${error.message}`);
    return error.code;
  }
  if (error instanceof ApiError) {
    terminal.warn(`error: ${errorMessage(error)}`);
    return error.status === 404 ? EXIT.notFound : EXIT.failed;
  }
  throw error;
}
