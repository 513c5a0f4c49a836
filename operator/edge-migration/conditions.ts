import type { Condition } from '@edge-migration/contract/edge-migration/api.ts';
import { findCondition as find, setConditions } from '@edge-migration/kubernetes/conditions.ts';

export { formatTime } from '@edge-migration/kubernetes/objects.ts';

/** All conditions; docs/concepts.md explains them to users. */
export const CONDITION_TYPES = [
  'Accepted',
  'Capturing',
  'Copied',
  'Verified',
  'Replaying',
  'EdgeReady',
  'Suspended',
  'Degraded',
  'Succeeded',
] as const;

export type ConditionType = (typeof CONDITION_TYPES)[number];

type ConditionStatus = 'True' | 'False' | 'Unknown';

/** For reasons that are an error's name or come from another process. */
const ANY = ['*'] as const;

/** Every pair of status and reason that a condition can have; no other can be stated. */
export const REASONS = {
  Accepted: { True: ['Accepted'], False: ANY, Unknown: [] },
  Capturing: { True: ANY, False: ANY, Unknown: ANY },
  Copied: {
    True: ['Complete'],
    False: [
      'Planning',
      'Copying',
      'Settling',
      'RangesFailed',
      'Suspended',
      'WaitingForCapture',
      'WaitingForHandover',
      'WrittenElsewhere',
      'PlanMode',
    ],
    Unknown: ['NotAccepted'],
  },
  Verified: {
    True: ['NothingDiffers', 'NothingMissing'],
    False: ['DifferencesFound'],
    Unknown: ['NotVerified', 'SwitchedOff', 'Comparing'],
  },
  Replaying: {
    True: ['Following', 'Draining'],
    False: [
      'NotReplaying',
      'CaptureDisabled',
      'NotCopied',
      'Suspended',
      'NoApplier',
      'RegionUnreachable',
      'WindowClosed',
    ],
    Unknown: ANY,
  },
  EdgeReady: {
    True: ['Complete'],
    False: [
      'DynamoDBNotEnabled',
      'EnvironmentsMissing',
      'ServerKeysMissing',
      'MetaRowsMissing',
      'MetaRowsNotKept',
      'OverridesNotShown',
      'CoreWouldForward',
      'HandoverRunning',
      'HandoverFailed',
    ],
    Unknown: ANY,
  },
  Suspended: { True: ['Requested'], False: ['NotRequested'], Unknown: ['InvalidSpec'] },
  Degraded: { True: ANY, False: ['AsExpected'], Unknown: [] },
  Succeeded: {
    True: ['Planned', 'CaptureDisabled', 'WindowClosed'],
    False: ['ProjectDeleted'],
    Unknown: ['NotAccepted', 'Active', 'Replaying', 'Draining'],
  },
} as const satisfies Record<ConditionType, Record<ConditionStatus, readonly string[]>>;

type ReasonOf<T extends ConditionType, S extends ConditionStatus> = '*' extends (typeof REASONS)[T][S][number]
  ? string
  : (typeof REASONS)[T][S][number];

/** A condition as a decision states it; {@link mergeConditions} adds times and generation. */
export interface DecidedCondition<S extends ConditionStatus = ConditionStatus, R extends string = string> {
  status: S;
  /** CamelCase, stable: programs may match it. */
  reason: R;
  /** For people: the situation, and what to do where something is to be done. */
  message: string;
}

/** All that can be stated of one condition. */
export type FindingOf<T extends ConditionType> = {
  [S in ConditionStatus]: DecidedCondition<S, ReasonOf<T, S>>;
}[ConditionStatus];

/** `EdgeReady` is stated only where tables are configured that show it. */
export type Findings = { [T in Exclude<ConditionType, 'EdgeReady'>]: FindingOf<T> } & {
  EdgeReady?: FindingOf<'EdgeReady'>;
};

export const conditionTrue = <R extends string>(reason: R, message: string): DecidedCondition<'True', R> => ({
  status: 'True',
  reason,
  message,
});
export const conditionFalse = <R extends string>(reason: R, message: string): DecidedCondition<'False', R> => ({
  status: 'False',
  reason,
  message,
});
export const conditionUnknown = <R extends string>(reason: R, message: string): DecidedCondition<'Unknown', R> => ({
  status: 'Unknown',
  reason,
  message,
});

/** A recorded condition, stated again. An unknown reason of another release becomes this one's first for the status. */
export function recall<T extends ConditionType>(type: T, { status, reason, message }: Condition): FindingOf<T> {
  const known: readonly string[] = REASONS[type][status];
  const isKnown = known.includes(reason) || known === ANY;
  return { status, reason: isKnown ? reason : (known[0] ?? reason), message } as FindingOf<T>;
}

/** All conditions of the new status, in a fixed order: a server-side apply would remove those left out. */
export function mergeConditions(
  before: readonly Condition[] | undefined,
  findings: Findings,
  { generation, now, messageLength }: { generation: number; now: number; messageLength: number },
): Condition[] {
  const observed = (Object.entries(findings) as [ConditionType, DecidedCondition][]).map(
    ([type, { message, ...finding }]) => ({
      type,
      ...finding,
      message: shorten(message, messageLength),
    }),
  );
  // A condition that only another configuration stated is no longer true.
  const known = before?.filter(({ type }) => type !== 'EdgeReady' || type in findings);
  const order = (type: string) => CONDITION_TYPES.indexOf(type as ConditionType);
  return setConditions(known ?? [], observed, generation, now).toSorted((a, b) => order(a.type) - order(b.type));
}

/** At most `length` characters; an ellipsis marks the cut. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** The previously recorded condition, if any. */
export function recordedCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return find(conditions ?? [], type);
}
