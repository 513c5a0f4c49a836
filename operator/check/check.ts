/** One thing that an installation needs. */
export interface Check {
  readonly name: string;
  /** Resolves to what was found; throws an error whose message says what is wrong. */
  run(signal: AbortSignal): Promise<Found>;
  /** What to do when it fails, beyond what the error says. */
  readonly remedy: string;
}

export interface Found {
  readonly text: string;
  /** It works; this is not as it should be all the same. */
  readonly warnings?: readonly string[];
}

export interface Outcome {
  readonly name: string;
  readonly verdict: 'ok' | 'warning' | 'failed';
  /** What was found, or what is wrong. */
  readonly text: string;
  readonly remedy?: string | undefined;
}

/** What was missing is said by the check itself. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
}
