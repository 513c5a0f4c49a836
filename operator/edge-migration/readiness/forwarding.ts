import { conditionTrue, type DecidedCondition } from '../conditions.ts';
import type { Facts } from '../facts.ts';

/**
 * Two replays of one write: Core itself forwards it to Edge, some time later and in no order, as soon as the project
 * has `enable_dynamo_db` and is marked as migrated. Such a request overwrites what Core has said since. Undefined where
 * Core does not forward, and where that cannot be known.
 */
export function findForwarding({ readiness, forwardingPod, marks }: Facts): DecidedCondition<'True'> | undefined {
  if (forwardingPod === undefined || readiness?.kind !== 'observed' || !readiness.enabled) return undefined;
  // Without the table of the marks nothing shows whether Flagsmith's own migration has set them.
  if (marks !== undefined && !(marks.kind === 'observed' && marks.completed)) return undefined;
  return conditionTrue(
    'CoreForwards',
    `pod ${forwardingPod} of the Core API has EDGE_API_URL, so Core forwards requests of this project to Edge besides${marks === undefined ? ' once it is marked as migrated' : ''}: late, in no order, over newer values. Remove EDGE_API_URL from the Core API until the replay window has closed (docs/cutover.md)`,
  );
}
