import { createHash } from 'node:crypto';
import { objectNames, type UnstorableStatus } from '@edge-migration/contract/edge-migration/api.ts';
import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { Action } from './actions.ts';
import { conditionTrue, type DecidedCondition } from './conditions.ts';
import type { Facts } from './facts.ts';

/** The part of a decision about identities whose writes Edge cannot hold. */
export interface UnstorableDecision {
  unstorable: UnstorableStatus | undefined;
  degraded: DecidedCondition<'True'> | undefined;
  actions: Action[];
}

/** Reasons that the status names; the report has all. */
const MOST_REASONS = 16;

/**
 * Lists the identities that replay cannot follow completely, as soon as appliers report them: in the status, in a
 * ConfigMap, and in `Degraded` for as long as the window is open.
 *
 * @param isClosed the window has closed, and nothing more can be done about them
 */
export function decideUnstorable({ migration, replay }: Facts, isClosed: boolean): UnstorableDecision {
  const before = migration.status.unstorable;
  if (replay.kind !== 'observed') return describe(before, isClosed, []);
  const { unstorable: identities } = replay.project;
  const revision = identities.length === 0 ? undefined : nameRevision(identities);
  if (revision === before?.revision) return describe(before, isClosed, []);
  const action: Action = { kind: 'writeUnstorableReport', identities };
  if (revision === undefined) return describe(undefined, isClosed, [action]);
  const counts = new Map<string, number>();
  for (const { cause } of identities) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  const byReason = [...counts].sort(([one], [other]) => (one < other ? -1 : 1)).slice(0, MOST_REASONS);
  const status: UnstorableStatus = {
    total: identities.length,
    byReason: byReason.map(([reason, count]) => ({ reason, count })),
    reportName: objectNames(migration, 'copy').unstorableReport,
    revision,
  };
  return describe(status, isClosed, [action]);
}

function describe(unstorable: UnstorableStatus | undefined, isClosed: boolean, actions: Action[]): UnstorableDecision {
  if (unstorable === undefined || isClosed) return { unstorable, degraded: undefined, actions };
  const { total, byReason, reportName } = unstorable;
  const reasons = byReason.map(({ reason, count }) => `${count} ${reason}`).join(', ');
  const message =
    `Edge cannot hold all that was written to ${total} identities (${reasons}); the rest of them is followed. ` +
    `Correct them in Core: see ConfigMap ${reportName}`;
  return { unstorable, degraded: conditionTrue('IdentitiesUnstorable', message), actions };
}

/** Differs whenever the lists differ. */
function nameRevision(identities: readonly UnstorableIdentity[]): string {
  return createHash('sha256').update(JSON.stringify(identities)).digest('base64url').slice(0, 16);
}
