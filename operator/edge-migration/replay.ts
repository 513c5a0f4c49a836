import type { ReplayStatus, Spec } from '@edge-migration/contract/edge-migration/api.ts';
import { DRAIN_POLL_MS, REPLAY_STATUS_MS } from '@edge-migration/runtime/policies.ts';
import {
  conditionFalse,
  conditionTrue,
  conditionUnknown,
  type DecidedCondition,
  type FindingOf,
  formatTime,
  recall,
  recordedCondition,
} from './conditions.ts';
import type { AwayFact, Facts, ObservedReplay, ProjectReplay, ReplayFact } from './facts.ts';
import { isRecent } from './progress.ts';
import { countEvents, findStuck } from './waiting-events.ts';

/** The part of a decision about following Core after the copy. */
export interface ReplayDecision {
  replaying: FindingOf<'Replaying'>;
  succeeded: FindingOf<'Succeeded'>;
  degraded: DecidedCondition<'True'> | undefined;
  replay: ReplayStatus;
  nextTime: number | undefined;
}

/**
 * Decides about a migration whose copy is complete: until the deadline it follows Core; after it, it waits until every
 * event observed before has been applied, and is then done (docs/design.md, "Life of a migration").
 *
 * @param completion when the copy was complete, in milliseconds; the deadline counts from it, so that changing
 *   `windowSeconds` moves the deadline
 */
export function decideReplay(facts: Facts, spec: Spec, completion: number, copied: DecidedCondition): ReplayDecision {
  const { replay, now } = facts;
  if (isOff(facts)) return withoutCapture(copied);
  const deadline = completion + spec.replay.windowSeconds * 1000;
  const status = describeReplay(facts, deadline);
  if (now < deadline) {
    const { replaying, degraded } = judgeFollowing(spec, replay, deadline);
    const nextTime = Math.min(deadline, now + REPLAY_STATUS_MS);
    const succeeded = conditionUnknown('Replaying', `Core's writes are replayed until ${formatTime(deadline)}`);
    return { replaying, degraded, succeeded, replay: status, nextTime };
  }
  const wasClosed = isClosed(facts, deadline);
  const waiting = wasClosed ? undefined : findUnapplied(facts, deadline);
  if (waiting === undefined) {
    const message = `the replay window closed at ${formatTime(deadline)}, and every event before it is applied`;
    return {
      replaying: conditionFalse('WindowClosed', message),
      succeeded: conditionTrue('WindowClosed', message),
      degraded: undefined,
      replay: wasClosed ? (facts.migration.status.replay ?? {}) : status,
      nextTime: undefined,
    };
  }
  const { replaying, degraded } = judgeFollowing(spec, replay, deadline);
  return {
    replaying: replaying.status === 'True' ? conditionTrue('Draining', `the window has closed; ${waiting}`) : replaying,
    succeeded: conditionUnknown('Draining', `the window has closed; ${waiting}`),
    degraded,
    replay: status,
    nextTime: now + DRAIN_POLL_MS,
  };
}

/**
 * Recalls the success of a migration that is not accepted, unless today's settings contradict it: a status may have
 * been reverted to one of former settings. Undefined when it has not succeeded.
 */
export function recallSucceeded(facts: Facts): FindingOf<'Succeeded'> | undefined {
  const { spec, status } = facts.migration;
  const copied = recordedCondition(status.conditions, 'Copied');
  if (copied?.status === 'True' && isOff(facts)) return withoutCapture(recall('Copied', copied)).succeeded;
  const succeeded = recordedCondition(status.conditions, 'Succeeded');
  if (succeeded?.status !== 'True' || succeeded.reason === 'CaptureDisabled') return undefined;
  const { completionTime } = status.copy ?? {};
  if (succeeded.reason === 'WindowClosed' && spec !== undefined && completionTime !== undefined) {
    if (!isClosed(facts, Date.parse(completionTime) + spec.replay.windowSeconds * 1000)) return undefined;
  }
  return recall('Succeeded', succeeded);
}

/** By configuration, this project's writes are not captured or not replayed. */
const isOff = ({ capture, replay }: Facts): boolean => capture.kind === 'disabled' || replay.kind === 'disabled';

/** It was already found closed for this very deadline: from then on sidecars and appliers do not matter. */
function isClosed({ migration }: Facts, deadline: number): boolean {
  const { conditions, replay } = migration.status;
  const { status, reason } = recordedCondition(conditions, 'Succeeded') ?? {};
  return status === 'True' && reason === 'WindowClosed' && replay?.deadline === formatTime(deadline);
}

function withoutCapture(copied: DecidedCondition): ReplayDecision {
  return {
    replaying: conditionFalse('CaptureDisabled', 'nothing is replayed while capture is switched off'),
    succeeded: conditionTrue('CaptureDisabled', `${copied.message}; capture is switched off, so nothing is replayed`),
    degraded: undefined,
    replay: {},
    nextTime: undefined,
  };
}

function judgeFollowing(
  spec: Spec,
  replay: ReplayFact,
  deadline: number,
): Pick<ReplayDecision, 'replaying' | 'degraded'> {
  if (replay.kind !== 'observed') {
    const { reason, message } = replay.kind === 'unknown' ? replay : { reason: 'Unknown', message: 'no report' };
    return { replaying: conditionUnknown(reason, message), degraded: conditionTrue(reason, message) };
  }
  if (spec.suspend) {
    return {
      replaying: conditionFalse('Suspended', 'suspended; events are parked until it is resumed'),
      degraded: undefined,
    };
  }
  if (replay.appliers === 0) {
    const message = 'no edge applier is alive: events wait in the stream; check the pods of the applier';
    return { replaying: conditionFalse('NoApplier', message), degraded: conditionTrue('NoApplier', message) };
  }
  if (replay.edgeUnreachableSince !== undefined) {
    const message = `Edge has not been reachable since ${formatTime(replay.edgeUnreachableSince)} (${replay.outage ?? 'no answer'}): nothing is written, and events wait in the stream until it is; see the runbook EdgeMigrationRegionUnreachable`;
    return {
      replaying: conditionFalse('RegionUnreachable', message),
      degraded: conditionTrue('RegionUnreachable', message),
    };
  }
  const text = `Core's writes are replayed into Edge until ${formatTime(deadline)}`;
  if (replay.away !== undefined) {
    const degraded = describeAway(replay.away, replay);
    return { replaying: conditionTrue('Following', `${text}; ${degraded.message}`), degraded };
  }
  const following = conditionTrue('Following', text);
  return {
    replaying: following,
    degraded: replay.outage === undefined ? undefined : conditionTrue('StoreUnavailable', replay.outage),
  };
}

/** Set while appliers write in another region than the home region. */
export function findElsewhere({ replay }: Facts): { home: string; degraded: DecidedCondition<'True'> } | undefined {
  if (replay.kind !== 'observed' || replay.away === undefined) return undefined;
  return { home: replay.away.home, degraded: describeAway(replay.away, replay) };
}

/** Writes elsewhere are finished only once the home region has them, too, so `Succeeded` waits for that by itself. */
function describeAway(
  { regions, home, since, reason, appliers: some }: AwayFact,
  { appliers: all, outage }: Pick<ObservedReplay, 'appliers' | 'outage'>,
): DecidedCondition<'True'> {
  const who = some < all ? `${some} of ${all} appliers write` : 'Edge is written';
  const message = `${who} in ${regions.join(' and ')} since ${formatTime(since)}, because ${reason}; no write is finished before it has reached ${home}. See the runbook EdgeMigrationRegionUnreachable`;
  return outage === undefined
    ? conditionTrue('WrittenElsewhere', message)
    : conditionTrue('StoreUnavailable', `${outage}. ${message}`);
}

/**
 * Where an event from before the deadline may still be; undefined when it can be nowhere: all were taken from the
 * stream, and nothing that followed from them, or was parked, is on its way.
 */
function findUnapplied(facts: Facts, deadline: number): string | undefined {
  const { capture, replay, migration } = facts;
  if (capture.kind !== 'observed') return 'the sidecars cannot be asked whether they have sent everything';
  if (capture.allSentUntil === undefined || capture.allSentUntil <= deadline)
    return capture.laggard ?? 'a sidecar has not sent everything yet';
  if (replay.kind !== 'observed') return 'the stream cannot be read';
  const { takenUntil, underWay, project } = replay;
  if (takenUntil === undefined || takenUntil <= deadline) return 'events from before it are applied';
  if (project.parked > 0) return `${project.parked} events are parked; resume, or set spec.retry`;
  const { unresolved } = findStuck(facts, { start: migration.status.copy?.startTime, deadline: formatTime(deadline) });
  if (unresolved.length > 0)
    return `${countEvents(unresolved)} events of unknown project are parked; set spec.retry, possibly to drop them`;
  if (underWay === undefined) return 'events are being parked, possibly of this project';
  if (underWay > 0) return `${underWay} events that follow from earlier ones are applied`;
  return undefined;
}

function describeReplay(facts: Facts, deadline: number): ReplayStatus {
  const { replay, migration, now } = facts;
  const before = migration.status.replay ?? {};
  const fixed = { deadline: formatTime(deadline) };
  const last = before.progressTime === undefined ? Number.NEGATIVE_INFINITY : Date.parse(before.progressTime);
  if (replay.kind !== 'observed' || isRecent(last, now, REPLAY_STATUS_MS)) return { ...before, ...fixed };
  const { unresolved } = findStuck(facts, { start: migration.status.copy?.startTime, ...fixed });
  const eventsUnresolved = countEvents(unresolved);
  const numbers = { ...describeNumbers(replay.project, now), ...(eventsUnresolved > 0 && { eventsUnresolved }) };
  const isGone = eventsUnresolved === 0 && before.eventsUnresolved !== undefined;
  const isMoved =
    isGone || Object.entries(numbers).some(([name, value]) => before[name as keyof ReplayStatus] !== value);
  return isMoved ? { ...numbers, ...fixed, progressTime: formatTime(now) } : { ...before, ...fixed };
}

function describeNumbers(project: ProjectReplay, now: number): ReplayStatus {
  const { oldestObservedTime, lastAppliedTime } = project;
  const lagSeconds = oldestObservedTime === undefined ? 0 : Math.max(0, Math.round((now - oldestObservedTime) / 1000));
  return {
    lag: `${lagSeconds}s`,
    lagSeconds,
    ...(lastAppliedTime === undefined ? {} : { lastAppliedTime: formatTime(lastAppliedTime) }),
    eventsApplied: project.applied,
    eventsUnchanged: project.unchanged,
    eventsDropped: project.dropped,
    eventsParked: project.parked,
  };
}
