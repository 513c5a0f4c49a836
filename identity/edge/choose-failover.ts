export interface FailoverSettings {
  readonly dynamodbOtherRegions?: readonly string[] | undefined;
  readonly failoverAfterSeconds: number;
  readonly failoverReturnSeconds: number;
}

/** What a choice goes by. */
export interface FailoverView {
  /** For how long the region that is written has not answered. */
  readonly silentSeconds: number;
  readonly isAway: boolean;
  /** For how long the home region has answered every time; undefined: not the last time. */
  readonly answeringSeconds: number | undefined;
  /** Documents that were written elsewhere and are not found in the home region yet; undefined: not looked for. */
  readonly awaited: number | undefined;
  /** The region that is written answers, but it refuses what is asked of it, so there is nothing to wait for. */
  readonly isRefused: boolean;
  /** For how long it has refused what this process wants to write; 0 while it does not. */
  readonly refusedSeconds: number;
}

/**
 * `leave`: go on in another region; `await`: choose documents that must be found in the home region; `return`: it has them.
 */
export type FailoverChoice = 'stay' | 'leave' | 'await' | 'return';

/** Decides whether to leave the region that is written, or to come back to the home region. */
export function chooseFailover(
  { silentSeconds, isAway, answeringSeconds, awaited, isRefused, refusedSeconds }: FailoverView,
  { failoverAfterSeconds, failoverReturnSeconds }: FailoverSettings,
): FailoverChoice {
  if (failoverAfterSeconds > 0 && silentSeconds >= failoverAfterSeconds) return 'leave';
  if (!isAway) return 'stay';
  // A region that takes no writes is no place to wait for the home region in. The home region itself is not left for that.
  if (answeringSeconds === undefined) return refusedSeconds >= failoverAfterSeconds ? 'leave' : 'stay';
  if (answeringSeconds < failoverReturnSeconds) return 'stay';
  if (awaited === undefined) return isRefused ? 'return' : 'await';
  return awaited === 0 ? 'return' : 'stay';
}
