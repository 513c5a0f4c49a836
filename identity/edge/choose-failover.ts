export interface FailoverSettings {
  readonly dynamodbOtherRegions?: readonly string[] | undefined;
  readonly failoverAfterSeconds: number;
  readonly failoverReturnSeconds: number;
}

/** The facts that a choice depends on. */
export interface FailoverView {
  /** How long the written region has not answered. */
  readonly silentSeconds: number;
  readonly isAway: boolean;
  /** How long the home region has answered every time; undefined: it did not answer the last time. */
  readonly answeringSeconds: number | undefined;
  /** Documents written elsewhere that are not in the home region yet; undefined: not looked for. */
  readonly awaited: number | undefined;
  /** The written region answers, but refuses these requests, so there is nothing to wait for. */
  readonly isRefused: boolean;
  /** How long it has refused this process's writes; 0 while it does not. */
  readonly refusedSeconds: number;
}

/**
 * `leave`: move to another region; `await`: choose documents that must reach the home region; `return`: it has them.
 */
export type FailoverChoice = 'stay' | 'leave' | 'await' | 'return';

/** Decides whether to leave the written region, or to return to the home region. */
export function chooseFailover(
  { silentSeconds, isAway, answeringSeconds, awaited, isRefused, refusedSeconds }: FailoverView,
  { failoverAfterSeconds, failoverReturnSeconds }: FailoverSettings,
): FailoverChoice {
  if (failoverAfterSeconds > 0 && silentSeconds >= failoverAfterSeconds) return 'leave';
  if (!isAway) return 'stay';
  // A region that takes no writes is no place to wait for the home region. The home region itself is not left for that.
  if (answeringSeconds === undefined) return refusedSeconds >= failoverAfterSeconds ? 'leave' : 'stay';
  if (answeringSeconds < failoverReturnSeconds) return 'stay';
  if (awaited === undefined) return isRefused ? 'return' : 'await';
  return awaited === 0 ? 'return' : 'stay';
}
