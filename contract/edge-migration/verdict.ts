import type { EdgeMigration } from './api.ts';

export { projectOf } from './api.ts';

/**
 * The decision about an event of a project:
 * - `apply`: apply it now. `copying`: the copy may still write a page that it read earlier (docs/design.md,
 * "Convergence", rule 3).
 * - `park`: park it until the EdgeMigration changes.
 * - `drop`: it must not reach Edge. Only on a view that was listed after the event was delivered (rule 5).
 */
export type AdmissionDecision =
  | { readonly kind: 'apply'; readonly copying: boolean }
  | { readonly kind: 'park'; readonly reason: HoldReason }
  | { readonly kind: 'drop'; readonly reason: DropReason };

export type HoldReason = 'suspended' | 'undecided' | 'unreadable';
export type DropReason = 'noMigration' | 'planMode' | 'rejected' | 'windowClosed' | 'finished';

/**
 * Judges an event of a project by the project's EdgeMigration. Pure. Inputs:
 *
 * | Input | Meaning |
 * | --- | --- |
 * | `metadata.deletionTimestamp` | set: as if there were none |
 * | `spec.mode` | `Plan` writes nothing |
 * | `status.replay.deadline` | an event whose request began after it stays in Core; one that began at it or before is
 * applied whenever it arrives |
 * | condition `Succeeded` | without a deadline: True (copied, nothing to be replayed) and False (failed for good) end replay |
 * | condition `Accepted` | True: applied. Not there or Unknown: parked. False: parked when the copy has begun, else dropped |
 * | `status.copy.startTime`, `.completionTime` | whether a copy has begun |
 * | `spec.suspend` | true: parked |
 * | condition `Copied` | anything but True: the copy may still write |
 *
 * The writer of the status guarantees: the first page is read after `Accepted=True` is in the API server, and `Copied`
 * is not True for ten seconds before a range is copied again.
 *
 * @param migration the active EdgeMigration, see {@link chooseMigration}
 * @param beganTime when the event's request began, in milliseconds since the epoch. Not the observed end: for a request
 * that was under way when its sidecar died, that would be the sidecar's next start
 */
export function decideAdmission(migration: EdgeMigration | undefined, beganTime: number): AdmissionDecision {
  if (migration === undefined || migration.deleting) return drop('noMigration');
  const { spec, status } = migration;
  if (spec === undefined) return park('unreadable');
  if (spec.mode === 'Plan') return drop('planMode');
  const deadline = status.replay?.deadline;
  if (deadline !== undefined) {
    if (beganTime > Date.parse(deadline)) return drop('windowClosed');
  } else if (statusOf(migration, 'Succeeded') !== 'Unknown') return drop('finished');
  if (statusOf(migration, 'Accepted') === 'False' && !hasBegun(migration)) return drop('rejected');
  if (spec.suspend) return park('suspended');
  if (statusOf(migration, 'Accepted') !== 'True') return park('undecided');
  return { kind: 'apply', copying: statusOf(migration, 'Copied') !== 'True' };
}

/**
 * The active EdgeMigration of a project among all that name it: the oldest. Operator and appliers both use this. One
 * that is being deleted still counts, so that no younger one replaces it before the operator has seen that.
 */
export function chooseMigration(migrations: readonly EdgeMigration[]): EdgeMigration | undefined {
  const age = ({ creationTime, uid }: EdgeMigration) => `${creationTime} ${uid}`;
  let oldest = migrations[0];
  for (const other of migrations.slice(1)) if (oldest !== undefined && age(other) < age(oldest)) oldest = other;
  return oldest;
}

const drop = (reason: DropReason): AdmissionDecision => ({ kind: 'drop', reason });
const park = (reason: HoldReason): AdmissionDecision => ({ kind: 'park', reason });

function statusOf({ status }: EdgeMigration, type: string): 'True' | 'False' | 'Unknown' {
  return status.conditions?.find((condition) => condition.type === type)?.status ?? 'Unknown';
}

function hasBegun({ status }: EdgeMigration): boolean {
  return status.copy?.startTime !== undefined || status.copy?.completionTime !== undefined;
}
