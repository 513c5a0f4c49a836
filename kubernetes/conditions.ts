import { formatTime } from './objects.ts';

/** `metav1.Condition`. */
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  /** CamelCase, for programs. */
  reason: string;
  /** For people; may be empty. */
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

/** A condition as determined by one observation. */
export type ObservedCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The API rejects longer messages. */
const LONGEST_MESSAGE = 32_768;

/**
 * The conditions after an observation. `lastTransitionTime` changes only with the status, so that repeating an
 * observation gives the same result. Conditions that were not observed stay unchanged, in place; new ones come last.
 *
 * @param generation of the object that was observed
 * @param now milliseconds since the epoch
 */
export function setConditions(
  previous: readonly Condition[],
  observed: readonly ObservedCondition[],
  generation: number,
  now: number,
): Condition[] {
  const result = new Map(previous.map((condition) => [condition.type, condition]));
  for (const { type, status, reason, message } of observed) {
    const old = result.get(type);
    result.set(type, {
      type,
      status,
      reason,
      message: message.slice(0, LONGEST_MESSAGE),
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : formatTime(now),
      observedGeneration: generation,
    });
  }
  return [...result.values()];
}

export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}
