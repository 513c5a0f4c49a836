import type { EdgeMigration, Operation, Spec } from '@edge-migration/contract/edge-migration/api.ts';
import { COVERAGE_RECHECK_MS, STORES_RECHECK_MS } from '@edge-migration/runtime/policies.ts';
import type { Action } from './actions.ts';
import {
  conditionFalse,
  conditionTrue,
  conditionUnknown,
  type FindingOf,
  recall,
  recordedCondition,
} from './conditions.ts';
import { compose, type Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import { holdJobs } from './jobs.ts';
import { decideAccepted, decideCapturing } from './policies.ts';
import { summarisePlan } from './progress.ts';
import { retire } from './range-work.ts';
import { decideHandover } from './readiness/handover.ts';
import { decideReplay, findElsewhere, recallSucceeded } from './replay.ts';
import { decideWork, type WorkDecision } from './work.ts';

export type { Decision } from './decision.ts';

/**
 * The life of a migration: computes the new status and the actions from the facts. Pure, and total: every state is
 * computed again from what exists, so that a crash between any two steps is nothing special. The rules are in
 * docs/design.md, "Life of a migration" and "Convergence".
 */
export function decide(observed: Facts): Decision {
  const facts = forgetPlan(observed);
  const accepted = decideAccepted(facts);
  const { spec } = facts.migration;
  if (spec === undefined || accepted.status !== 'True') return decideRejected(facts, accepted);
  const { status } = facts.migration;
  if (spec.mode === 'Plan') {
    return status.plan?.completionTime === undefined
      ? decidePlan(facts, spec, accepted)
      : decidePlanned(facts, spec, accepted);
  }
  return isCopied(facts.migration) ? decideCopied(facts, spec, accepted) : decideCopy(facts, spec, accepted);
}

/** A plan's counts are not the progress of the copy that follows it. */
function forgetPlan(facts: Facts): Facts {
  const { migration } = facts;
  const { copy, ...status } = migration.status;
  if (migration.spec?.mode !== 'Migrate' || copy?.dryRun !== true) return facts;
  return { ...facts, migration: { ...migration, status } };
}

/** Only the status keeps the copy's completion: its Jobs and checkpoints are removed. */
export function isCopied({ status }: EdgeMigration): boolean {
  return status.copy?.completionTime !== undefined && recordedCondition(status.conditions, 'Copied')?.status === 'True';
}

/** The purpose of the work on the project's identities. */
export const chooseOperation = ({ spec }: EdgeMigration): Operation => (spec?.mode === 'Plan' ? 'plan' : 'copy');

function decideRejected(facts: Facts, accepted: FindingOf<'Accepted'>): Decision {
  const { migration, now } = facts;
  const before = migration.status;
  const copied = recordedCondition(before.conditions, 'Copied');
  const isGone = accepted.reason === 'ProjectDeleted';
  const notSucceeded = isGone
    ? conditionFalse('ProjectDeleted', accepted.message)
    : conditionUnknown('NotAccepted', 'waiting for the migration to be accepted');
  return compose(facts, {
    accepted,
    copied:
      copied?.status === 'True'
        ? recall('Copied', copied)
        : conditionUnknown('NotAccepted', 'waiting for the migration to be accepted'),
    degraded: conditionTrue('NotAccepted', accepted.message),
    succeeded: recallSucceeded(facts) ?? notSucceeded,
    actions: holdJobs(chooseOperation(migration), facts.work.jobs),
    nextTime: now + STORES_RECHECK_MS,
  });
}

function decideCopy(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  if (!mayBegin(facts)) return decideWaiting(facts, spec, accepted);
  if (!hasBegun(facts) && decideHandover(facts).waits) return decideHandingOver(facts, spec, accepted);
  const elsewhere = spec.suspend ? undefined : findElsewhere(facts);
  const work = elsewhere === undefined ? decideWork(facts, spec, 'copy') : holdCopy(facts, spec, elsewhere);
  const replay = work.complete ? decideReplay(facts, spec, facts.now, work.finding) : undefined;
  return compose(facts, {
    accepted,
    copied: work.finding,
    degraded: work.degraded ?? replay?.degraded,
    replaying: replay?.replaying ?? notYetReplaying(facts),
    succeeded: replay?.succeeded ?? conditionUnknown('Active', 'the copy is not complete'),
    ...pick(work),
    actions: [...retirePlan(facts), ...work.actions],
    nextTime: work.nextTime ?? replay?.nextTime,
    ...(replay === undefined ? {} : { replay: replay.replay }),
  });
}

/**
 * The home region may lack what appliers have written elsewhere, and an insert there would replace that once the
 * regions meet again. So pods are stopped as by `spec.suspend`; ranges that are already copied still settle.
 */
function holdCopy(
  facts: Facts,
  spec: Spec,
  { home, degraded }: NonNullable<ReturnType<typeof findElsewhere>>,
): WorkDecision {
  const work = decideWork(facts, { ...spec, suspend: true }, 'copy');
  if (work.finding.reason !== 'Suspended') return work;
  const finding = conditionFalse('WrittenElsewhere', `waiting for the appliers to write in ${home} again`);
  return { ...work, finding, degraded, nextTime: facts.now + STORES_RECHECK_MS };
}

/** The first page is read only once sidecars see every write that it could miss. */
function mayBegin(facts: Facts): boolean {
  const { capture } = facts;
  return hasBegun(facts) || capture.kind === 'disabled' || (capture.kind === 'observed' && capture.covered);
}

const hasBegun = ({ work, migration }: Facts): boolean =>
  work.jobs.length > 0 || (migration.status.copy?.attempt ?? 0) > 0;

/** Environments first, as in Flagsmith's own migration; the copy follows whatever the outcome. */
function decideHandingOver(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  return compose(facts, {
    accepted,
    copied: spec.suspend
      ? conditionFalse('Suspended', 'suspended; nothing is planned yet')
      : conditionFalse('WaitingForHandover', "waiting for Flagsmith's own code to hand over the environments"),
    replaying: notYetReplaying(facts),
    succeeded: conditionUnknown('Active', 'waiting for the hand-over by Flagsmith'),
    actions: retirePlan(facts),
  });
}

function decideWaiting(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  const { reason, message } = decideCapturing(facts);
  return compose(facts, {
    accepted,
    copied: spec.suspend
      ? conditionFalse('Suspended', 'suspended; nothing is planned yet')
      : conditionFalse('WaitingForCapture', `waiting for capture coverage: ${message}`),
    degraded: spec.suspend ? undefined : conditionTrue(reason, message),
    replaying: notYetReplaying(facts),
    succeeded: conditionUnknown('Active', 'waiting for the sidecars'),
    actions: retirePlan(facts),
    nextTime: facts.now + COVERAGE_RECHECK_MS,
  });
}

const notYetReplaying = ({ capture }: Facts): FindingOf<'Replaying'> =>
  capture.kind === 'disabled'
    ? conditionFalse('CaptureDisabled', 'nothing is replayed while capture is switched off')
    : conditionFalse(
        'NotCopied',
        'writes during the copy are replayed as they come; the window begins when the copy is complete',
      );

function decideCopied(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  const { conditions, copy } = facts.migration.status;
  const copied = recordedCondition(conditions, 'Copied');
  const finding = copied === undefined ? conditionTrue('Complete', 'the copy is complete') : recall('Copied', copied);
  const replay = decideReplay(facts, spec, Date.parse(copy?.completionTime ?? ''), finding);
  return compose(facts, {
    accepted,
    copied: finding,
    degraded: replay.degraded,
    replaying: replay.replaying,
    succeeded: replay.succeeded,
    replay: replay.replay,
    actions: [...retirePlan(facts), ...retire('copy', facts.work)],
    nextTime: replay.nextTime,
  });
}

function decidePlan(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  const work = decideWork(facts, spec, 'plan');
  return compose(facts, {
    accepted,
    copied: describePlanMode(work.finding),
    degraded: work.degraded,
    succeeded: work.complete
      ? conditionTrue(
          'Planned',
          'status.plan describes what a migration would do; set spec.mode to Migrate to start it',
        )
      : conditionUnknown('Active', 'the plan is not complete'),
    ...pick(work),
    ...(work.complete ? { plan: summarisePlan(facts) } : {}),
  });
}

function decidePlanned(facts: Facts, spec: Spec, accepted: FindingOf<'Accepted'>): Decision {
  const before = facts.migration.status.plan ?? {};
  const durationSeconds = Math.ceil((before.writeUnits ?? 0) / spec.copy.maxWriteUnitsPerSecond);
  return compose(facts, {
    accepted,
    copied: conditionFalse('PlanMode', 'mode Plan writes nothing to Edge'),
    succeeded: conditionTrue(
      'Planned',
      'status.plan describes what a migration would do; set spec.mode to Migrate to start it',
    ),
    // The plan's own progress: a subsequent copy starts from zero.
    copy: {},
    plan: { ...before, durationSeconds },
    actions: retire('plan', facts.work),
  });
}

/** Parts of an earlier plan are still there. */
const retirePlan = ({ work }: Facts): Action[] => (work.planIsLeft ? [{ kind: 'retireWork', operation: 'plan' }] : []);

const pick = ({ copy, skipped, actions, nextTime }: WorkDecision) => ({ copy, skipped, actions, nextTime });

const describePlanMode = ({ status, reason, message }: FindingOf<'Copied'>): FindingOf<'Copied'> =>
  status === 'False'
    ? conditionFalse(reason, `mode Plan, nothing is written: ${message}`)
    : conditionFalse('PlanMode', 'mode Plan writes nothing to Edge');
