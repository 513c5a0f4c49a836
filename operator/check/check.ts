/** One prerequisite of an installation. */
export interface Check {
  readonly name: string;
  /** Resolves to the result; throws an error whose message describes the problem. */
  run(signal: AbortSignal): Promise<CheckDetails>;
  /** The remedy if it fails, in addition to the error's message. */
  readonly remedy: string;
}

export interface CheckDetails {
  readonly text: string;
  /** It works, but not as it should. */
  readonly warnings?: readonly string[];
}

export interface CheckOutcome {
  readonly name: string;
  readonly verdict: 'ok' | 'warning' | 'failed';
  /** The result, or the problem. */
  readonly text: string;
  readonly remedy?: string | undefined;
}

/** The check itself has reported the missing parts. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
}
