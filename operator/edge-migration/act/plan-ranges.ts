import { LABELS, OPERATOR_FIELD_MANAGER, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { AlreadyExistsError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS, JOBS, SECRETS } from '@edge-migration/kubernetes/resources.ts';
import { type MeasuredRange, mergeSteps } from '../../copy/ranges.ts';
import { formatTime } from '../conditions.ts';
import { buildRanges, buildRoot, type RootReference } from '../objects.ts';
import { parsePlan } from '../parse.ts';
import { definitionOf } from '../work-definition.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** A Secret holds a mebibyte at most, including its keys and the third that base64 adds. */
const LARGEST_SECRET = 700_000;

/**
 * Counts the project's identities, divides them into ranges and writes both down. The root ConfigMap gets the plan
 * last: until then nothing runs, and after a crash in between everything is simply done again. Afterwards the ranges
 * are never created again, because pods may be working on them: a cache that does not show the plan is stale, and a
 * damaged plan is removed with all it owns. Nor can a former leader put its ranges under the current leader's plan,
 * however late its requests arrive: each of them names its own root.
 */
export async function writeRangePlan(context: ActionContext, { migration, operation, logger, signal }: ActionTarget) {
  const { client, core, namespace, clock } = context;
  const { spec } = migration;
  if (spec === undefined || (await isPlanned(context, { migration, operation, logger, signal }))) return;
  const place = { migration, operation, namespace };
  const options = { fieldManager: OPERATOR_FIELD_MANAGER, signal };
  const started = clock.monotonic();
  const project = await core.projects.get(spec.projectId, signal);
  const environments = project?.environments ?? [];
  const { ranges, files } = await definitionOf(operation).plan({ core, environments, spec, fit: fitSecret, signal });
  const root = await client.create(CONFIG_MAPS, buildRoot(place, {}), options);
  const reference = { name: root.metadata.name, uid: root.metadata.uid ?? '' };
  await createRanges(context, buildRanges(place, reference, files), reference, signal);
  const planned = ranges.map(({ rangeId, identities }) => ({ rangeId, identities }));
  const plan = { plannedTime: formatTime(clock.now()), ranges: planned };
  const withPlan = buildRoot(place, { plan });
  // Only over this root, which may have been labelled or annotated meanwhile.
  const metadata = { ...withPlan.metadata, uid: reference.uid };
  await client.apply(CONFIG_MAPS, { ...withPlan, metadata }, { ...options, force: true });
  logger.info(
    {
      environments: environments.length,
      ranges: ranges.length,
      identities: planned.reduce((sum, { identities }) => sum + identities, 0),
      tookMs: Math.round(clock.monotonic() - started),
    },
    'planned the ranges',
  );
}

/**
 * The ranges of a deleted root also stand in the way until Kubernetes has removed them; their owner cannot be read.
 *
 * @throws AlreadyExistsError in that case: everything is done again
 */
async function createRanges(
  { client }: ActionContext,
  ranges: ReturnType<typeof buildRanges>,
  { name, uid }: RootReference,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.create(SECRETS, ranges, { fieldManager: OPERATOR_FIELD_MANAGER, signal });
  } catch (error) {
    const { namespace } = ranges.metadata;
    if (error instanceof AlreadyExistsError) await client.delete(CONFIG_MAPS, { namespace, name }, { uid, signal });
    throw error;
  }
}

/**
 * Whether there is a plan, or will be once an unreadable one is removed together with all its results. Removes what
 * unfinished planning has left.
 */
async function isPlanned(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
): Promise<boolean> {
  const name = objectNames(migration, operation).root;
  const root = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
  if (root === undefined) return false;
  if (parsePlan((root['data'] as Record<string, string> | undefined)?.['plan']) !== undefined) return true;
  const labelSelector = `${LABELS.migrationUid}=${migration.uid},${LABELS.component}=${operation}`;
  const { items } = await client.list(JOBS, { namespace, labelSelector }, { signal });
  const isDamaged = items.some(({ metadata }) =>
    metadata.ownerReferences?.some(({ uid }) => uid === root.metadata.uid),
  );
  if (isDamaged) logger.warn('the plan was damaged; restarting the copy');
  await client.delete(CONFIG_MAPS, { namespace, name }, { uid: root.metadata.uid, signal });
  return isDamaged;
}

/** Joins neighbouring ranges until their boundaries, which may be long identifiers, fit into a share of one Secret. */
function fitSecret(ranges: MeasuredRange[], share: number): MeasuredRange[] {
  let fitting = ranges;
  while (fitting.length > 1 && sizeOf(fitting) > LARGEST_SECRET * share) {
    const total = fitting.reduce((sum, { identities }) => sum + identities, 0);
    const steps = fitting.flatMap(({ segments, bySegment }) =>
      segments.map((segment, index) => ({ ...segment, identities: bySegment[index] ?? 0 })),
    );
    fitting = mergeSteps(steps, Math.ceil((2 * total) / fitting.length));
  }
  return fitting;
}

function sizeOf(ranges: readonly MeasuredRange[]): number {
  return ranges.reduce((sum, { rangeId, segments, bySegment }) => {
    return sum + Buffer.byteLength(JSON.stringify({ rangeId, segments, bySegment }));
  }, 0);
}
