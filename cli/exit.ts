/** Exit codes; docs/cli.md tells scripts what they mean. */
export const EXIT = {
  done: 0,
  /** The cluster could not be asked, or refused. */
  failed: 1,
  usage: 2,
  notFound: 3,
  /** The state of the migration does not allow it. */
  notPossible: 4,
  /** A question was answered with no, or there is no terminal to ask on and no `--yes`. */
  declined: 5,
  /** What was looked at is not well: a migration that failed, a finding of `doctor`. */
  unwell: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command ends with this message on standard error and this exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
