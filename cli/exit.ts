/** Exit codes; described in docs/cli.md. */
export const EXIT = {
  done: 0,
  /** The cluster could not be reached, or rejected the request. */
  failed: 1,
  usage: 2,
  notFound: 3,
  /** The state of the migration does not allow it. */
  notPossible: 4,
  /** A question was declined, or there is no terminal to ask on and no `--yes`. */
  declined: 5,
  /** An unhealthy result: a migration that failed, a problem found by `doctor`. */
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
