import { findCondition as find, setConditions } from '../kubernetes/conditions.ts';
import type { Condition } from './api.ts';

export { formatTime } from '../kubernetes/objects.ts';

/** What each condition says; docs/concepts.md explains them to users. */
export const CONDITION_TYPES = [
  'Accepted',
  'Capturing',
  'Copied',
  'Verified',
  'Replaying',
  'Suspended',
  'Degraded',
  'Succeeded',
] as const;

export type ConditionType = (typeof CONDITION_TYPES)[number];

/** A condition as a decision states it; times and generation are added by {@link mergeConditions}. */
export interface Finding {
  status: 'True' | 'False' | 'Unknown';
  /** CamelCase, stable: programs may match it. */
  reason: string;
  /** For people: what is the case, and what to do where something is to be done. */
  message: string;
}

export type Findings = Record<ConditionType, Finding>;

export const isTrue = (reason: string, message: string): Finding => ({ status: 'True', reason, message });
export const isFalse = (reason: string, message: string): Finding => ({ status: 'False', reason, message });
export const isUnknown = (reason: string, message: string): Finding => ({ status: 'Unknown', reason, message });

/** As many characters as the CRD allows in a condition's message. */
const MESSAGE_LENGTH = 1024;

/**
 * All conditions of the new status, in a fixed order: a server-side apply with some left out would remove them.
 */
export function mergeConditions(
  before: readonly Condition[] | undefined,
  findings: Findings,
  generation: number,
  now: number,
): Condition[] {
  const observed = (Object.keys(findings) as ConditionType[]).map((type) => {
    const { message, ...finding } = findings[type];
    return { type, ...finding, message: shorten(message, MESSAGE_LENGTH) };
  });
  return setConditions(before ?? [], observed, generation, now);
}

/** At most `length` characters; what is cut is shown as an ellipsis. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** The condition as recorded before, if any. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return find(conditions ?? [], type);
}
