import type { Detail, ProjectSummary } from '../client/types.ts';

/** The rating of a state: its colour and icon. */
export type StateTone = 'busy' | 'good' | 'bad' | 'warn' | 'calm';

const TONES: Readonly<Record<string, StateTone>> = {
  Failed: 'bad',
  Rejected: 'bad',
  Degraded: 'bad',
  Retrying: 'warn',
  Suspended: 'warn',
  Planning: 'busy',
  Waiting: 'calm',
  Copying: 'busy',
  Settling: 'busy',
  Replaying: 'good',
  Planned: 'calm',
  Succeeded: 'good',
  Deleting: 'warn',
};

/** States that need attention first, then active ones, then finished ones; unknown names come last. */
export function sortPhases(phases: readonly string[]): string[] {
  const order = Object.keys(TONES);
  const rank = (phase: string) => (order.includes(phase) ? order.indexOf(phase) : order.length);
  return phases.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

export const toneOf = (phase: string): StateTone => TONES[phase] ?? 'calm';

/** Share of the copy that is done, 0 to 1; undefined before the identities are counted, and for a plan. */
export function shareOf(summary: Pick<ProjectSummary, 'identities_total' | 'identities_read'>): number | undefined {
  const { identities_total: total, identities_read: read } = summary;
  if (total === null) return undefined;
  return total === 0 ? 1 : Math.min(1, (read ?? 0) / total);
}

type StepName = 'plan' | 'copy' | 'compare' | 'follow' | 'done';
type StepState = 'done' | 'now' | 'next' | 'failed' | 'skipped';

export interface RoadStep {
  readonly name: StepName;
  readonly state: StepState;
}

/** The step that a migration has reached, from its conditions alone. */
export function listSteps({
  mode,
  status,
  spec,
  outcome,
}: Pick<Detail, 'mode' | 'status' | 'spec' | 'outcome'>): RoadStep[] {
  const statusOf = (type: string) => status.conditions?.find((condition) => condition.type === type)?.status;
  const isPlan = mode === 'Plan';
  const isCopied = !isPlan && statusOf('Copied') === 'True';
  const failed = outcome === 'failed' || statusOf('Accepted') === 'False';
  const isDone = !isPlan && outcome === 'succeeded';
  const isPlanned = isCopied || status.plan?.completionTime !== undefined || status.copy?.startTime !== undefined;
  const now = (state: boolean): StepState => (state ? (failed ? 'failed' : 'now') : 'next');
  return [
    { name: 'plan', state: isPlanned ? 'done' : now(true) },
    { name: 'copy', state: isCopied ? 'done' : now(!isPlan && isPlanned) },
    { name: 'compare', state: compareState(spec, status, statusOf('Verified'), isCopied) },
    { name: 'follow', state: followState(spec, isDone, now(isCopied)) },
    { name: 'done', state: isDone ? 'done' : 'next' },
  ];
}

function compareState(
  spec: Detail['spec'],
  { verification }: Detail['status'],
  verified: string | undefined,
  isCopied: boolean,
): StepState {
  if (verification?.current !== undefined) return 'now';
  if (verified === 'True') return 'done';
  if (verified === 'False' && verification?.last !== undefined) return 'failed';
  if (spec?.verify.afterCopy === 'Never' && isCopied) return 'skipped';
  return 'next';
}

function followState(spec: Detail['spec'], isDone: boolean, otherwise: StepState): StepState {
  if (spec?.replay.windowSeconds === 0) return 'skipped';
  return isDone ? 'done' : otherwise;
}

export interface Countdown {
  readonly isOver: boolean;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  /** The elapsed part of the window, 0 to 1; undefined if its beginning is unknown. */
  readonly passed: number | undefined;
}

/** @param begin when the window began, and `now`: milliseconds since the epoch */
export function countDown(deadline: number, begin: number | undefined, now: number): Countdown {
  const left = Math.max(0, Math.ceil((deadline - now) / 1000));
  return {
    isOver: deadline <= now,
    days: Math.floor(left / 86_400),
    hours: Math.floor(left / 3600) % 24,
    minutes: Math.floor(left / 60) % 60,
    seconds: left % 60,
    passed:
      begin === undefined || deadline <= begin
        ? undefined
        : Math.min(1, Math.max(0, (now - begin) / (deadline - begin))),
  };
}

/** Differences that the last comparison found and no repair has settled, by kind, in descending order. */
export function listFindings({ verification }: Detail['status']): { kind: string; count: number }[] {
  return Object.entries(verification?.last?.findings ?? {})
    .flatMap(([kind, count]) => (count ? [{ kind, count }] : []))
    .sort((a, b) => b.count - a.count);
}
