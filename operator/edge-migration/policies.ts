import {
  conditionFalse,
  conditionTrue,
  conditionUnknown,
  type DecidedCondition,
  type FindingOf,
} from './conditions.ts';
import type { Facts } from './facts.ts';

/** Checks one thing in the facts; returns the violation, or nothing. */
type Policy = (facts: Facts) => DecidedCondition<'False'> | undefined;

/** Make sure that we understand the stored object; the CRD's rules may have been bypassed or older. */
const specIsValid: Policy = ({ migration }) =>
  migration.spec === undefined
    ? conditionFalse(
        'InvalidSpec',
        `${migration.specProblem ?? 'spec cannot be read'}; correct the manifest and apply it again`,
      )
    : undefined;

/** Make sure that only one EdgeMigration works on a project: the older one wins, wherever it is. */
const isNotDuplicate: Policy = ({ olderDuplicate, migration }) =>
  olderDuplicate === undefined
    ? undefined
    : conditionFalse(
        'Duplicate',
        `project ${migration.spec?.projectId} is migrated by ${olderDuplicate}, which is older; delete one of the two`,
      );

/** Make sure that Core answers and has the project. */
const projectIsInCore: Policy = ({ core, migration }) => {
  const project = `project ${migration.spec?.projectId}`;
  switch (core.kind) {
    case 'problem':
      return conditionFalse(core.reason, core.message);
    case 'missing':
      return conditionFalse(
        'ProjectNotFound',
        `${project} is not in Core; check spec.projectId, or create the project`,
      );
    case 'deleted':
      return conditionFalse('ProjectDeleted', `${project} was deleted in Core; delete this EdgeMigration`);
    case 'found':
    case 'unread':
      return undefined;
  }
};

/** Make sure that Edge's tables exist in the right shape before anything is read. */
const tablesAreReady: Policy = ({ edge }) =>
  edge.kind === 'problem' ? conditionFalse(edge.reason, edge.message) : undefined;

/** Reading the chain is reading the rule: `Accepted` states the first violation. */
const ACCEPTANCE: readonly Policy[] = [specIsValid, isNotDuplicate, projectIsInCore, tablesAreReady];

/** The finding for condition `Accepted`. */
export function decideAccepted(facts: Facts): FindingOf<'Accepted'> {
  for (const policy of ACCEPTANCE) {
    const violation = policy(facts);
    if (violation !== undefined) return violation;
  }
  return conditionTrue('Accepted', 'the spec is valid, the project is in Core and the tables are reachable');
}

/** The finding for condition `Capturing`. */
export function decideCapturing({ capture }: Facts): FindingOf<'Capturing'> {
  switch (capture.kind) {
    case 'disabled':
      return conditionFalse(
        'Disabled',
        'capture is switched off by configuration: writes that reach Core during and after the copy are not replayed',
      );
    case 'unknown':
      return conditionUnknown(capture.reason, capture.message);
    case 'observed':
      return capture.covered
        ? conditionTrue(capture.reason, capture.message)
        : conditionFalse(capture.reason, capture.message);
  }
}

/** The finding for condition `Suspended`. */
export function decideSuspended({ migration }: Facts): FindingOf<'Suspended'> {
  if (migration.spec === undefined) return conditionUnknown('InvalidSpec', 'the spec cannot be read');
  return migration.spec.suspend
    ? conditionTrue('Requested', 'spec.suspend is true; set it to false to resume')
    : conditionFalse('NotRequested', 'spec.suspend is false');
}
