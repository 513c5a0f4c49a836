import { type EdgeMigration, type Operation, projectOf, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import { chooseMigration } from '@edge-migration/contract/edge-migration/verdict.ts';
import { CoreError } from '@edge-migration/identity/core/errors.ts';
import { EdgeError } from '@edge-migration/identity/edge/table/table.ts';
import { parseCheckpoint } from '../copy/checkpoint.ts';
import { recordedCondition } from './conditions.ts';
import { chooseOperation, isCopied } from './decide.ts';
import type { CaptureFact, CheckpointFact, CoreFact, EdgeFact, Facts, VerificationFacts, WorkFacts } from './facts.ts';
import { findHorizon } from './horizon.ts';
import { findUnderWay, observeJobPods } from './job-pods.ts';
import { type OperationFacts, observeOperation } from './operation-facts.ts';
import { hasOverrides } from './overrides.ts';
import { type Owned, parseLiveSettings } from './parse.ts';
import type { PodFact } from './pods.ts';
import { lacksCheckpoint } from './range-work.ts';
import type { HandoverFact, ReadinessFact } from './readiness/facts.ts';
import { chooseStage } from './readiness/handover.ts';
import { areMarksSought } from './readiness/marks.ts';
import type { ReadinessView } from './readiness/view.ts';
import { parseRecord, restoreStatus, type StatusRecord } from './record.ts';
import { BY_MIGRATION, BY_PROJECT, type Sources } from './sources.ts';
import { findComparison, observeVerification } from './verification-facts.ts';
import type { Interval } from './watch-history.ts';

/** Gathers the facts for a decision about this EdgeMigration. Throws nothing but the signal's reason. */
export async function observe(sources: Sources, found: EdgeMigration, signal: AbortSignal): Promise<Facts> {
  const record = findRecord(sources, found);
  const migration = restoreStatus(found, record);
  const olderDuplicate = findOlderDuplicate(sources, migration);
  // First, because it may take seconds, by which facts that depend on age would be outdated.
  const serving = await observeServing(sources, migration, olderDuplicate === undefined, signal);
  const work = await observeWork(sources, migration, signal);
  const verification = observeVerification(sources, migration);
  const jobPods = await observeJobPods(sources, migration, findJob(migration, work, verification), signal);
  const base = {
    now: sources.clock.now(),
    migration,
    olderDuplicate,
    capture: addUnwatched(sources.stream.capture(projectOf(migration)), sources.watchHistory?.unwatched() ?? []),
    replay: sources.stream.replay(migration.spec?.projectId ?? 0),
    usage: sources.stream.usage(projectOf(migration)),
    work,
    verification,
    ...serving,
    jobPods,
    replication: sources.replication.now(),
    ...observeClocks(sources, migration),
    record,
    settings: sources.settings,
  };
  if (migration.spec === undefined || olderDuplicate !== undefined || isUnderWay(migration, work)) {
    return { ...base, core: { kind: 'unread' }, edge: { kind: 'unread' } };
  }
  const { projectId } = migration.spec;
  const [core, edge] = await Promise.all([observeCore(sources, projectId, signal), observeEdge(sources, signal)]);
  return { ...base, now: sources.clock.now(), core, edge };
}

/** In times without a watch, any pod may have served without a sidecar. */
function addUnwatched(capture: CaptureFact, intervals: readonly Interval[]): CaptureFact {
  if (capture.kind !== 'observed') return capture;
  const gaps = intervals.map((interval) => ({ ...interval, reason: 'notWatched', podName: undefined }));
  return { ...capture, gaps: [...capture.gaps, ...gaps] };
}

/** The Job under way, be it a plan's, a copy's or a comparison's. */
function findJob(migration: EdgeMigration, { jobs }: WorkFacts, verification: VerificationFacts | undefined) {
  const operation = findComparison(migration);
  const compared = operation === undefined ? [] : [{ operation, jobs: verification?.jobs ?? [] }];
  return findUnderWay([{ operation: chooseOperation(migration), jobs }, ...compared]);
}

const UNREAD: ReadinessFact = { kind: 'unread' };

/** What Edge has besides the identities, and who provides it. */
async function observeServing(
  sources: Sources,
  migration: EdgeMigration,
  isOldest: boolean,
  signal: AbortSignal,
): Promise<Pick<Facts, 'handover' | 'readiness' | 'forwardingPod' | 'corePodsUnknown' | 'marks'>> {
  const { handover, readiness } = sources;
  const isLookedAt = isOldest && migration.spec !== undefined;
  const marking = isLookedAt ? await observeMarks(sources, migration, signal) : {};
  if (readiness === undefined) return marking;
  if (!isLookedAt) return { readiness: UNREAD };
  return {
    ...marking,
    ...(handover && { handover: await observeHandover(sources, handover, migration, signal) }),
    readiness: await observeReadiness(sources, readiness, migration, signal),
  };
}

/** Whether the project is marked as migrated, and who besides the dashboard would act on that. */
async function observeMarks(
  { marks, forwardingPod: findForwardingPod, corePodsUnknown: arePodsUnknown, clock }: Sources,
  migration: EdgeMigration,
  signal: AbortSignal,
): Promise<Pick<Facts, 'forwardingPod' | 'corePodsUnknown' | 'marks'>> {
  const forwardingPod = findForwardingPod();
  const corePodsUnknown = arePodsUnknown();
  if (marks === undefined) return { forwardingPod };
  const isSought = areMarksSought({ migration, forwardingPod, now: clock.now() });
  return {
    forwardingPod,
    corePodsUnknown,
    marks: isSought ? await marks.read(projectOf(migration), signal) : { kind: 'unread' },
  };
}

/** An ended hand-over has changed what Edge has. */
async function observeHandover(
  { readiness, settings }: Sources,
  { mode, when, runner }: NonNullable<Sources['handover']>,
  migration: EdgeMigration,
  signal: AbortSignal,
): Promise<HandoverFact> {
  const stage = chooseStage(migration, { mode, when }, settings);
  const state = stage === undefined ? { kind: 'absent' as const } : await runner.inspect(migration, stage, signal);
  if (state.kind === 'ended') readiness?.expire(projectOf(migration), `${state.job} ${state.time}`);
  return { mode, when, stage, state };
}

/** Once all is done and Edge is ready, only the last hand-over gives a reason to check again. */
async function observeReadiness(
  { handover, settings }: Sources,
  view: ReadinessView,
  migration: EdgeMigration,
  signal: AbortSignal,
) {
  const isMet = (type: 'EdgeReady' | 'Succeeded') =>
    recordedCondition(migration.status.conditions, type)?.status === 'True';
  const isSettled =
    isMet('Succeeded') && isMet('EdgeReady') && isCopied(migration) && hasOverrides(migration, settings);
  return isSettled && handover === undefined ? UNREAD : view.read(projectOf(migration), signal);
}

function observeClocks(sources: Sources, migration: EdgeMigration): Pick<Facts, 'clocks' | 'coreAhead'> {
  const coreAhead = sources.coreClock.ahead();
  const clocks = [...sources.stream.clocks(), ...sources.podClocks.observe(sources, migration)];
  if (coreAhead === undefined || clocks.length === 0) return { clocks, coreAhead };
  return { clocks: [...clocks, { process: "Core's Postgres", ahead: coreAhead }], coreAhead };
}

/** The stores were checked before this began; from then on the copy's own pods report problems. */
function isUnderWay(migration: EdgeMigration, { ranges }: WorkFacts): boolean {
  const isAccepted = recordedCondition(migration.status.conditions, 'Accepted')?.status === 'True';
  return isAccepted && (ranges !== undefined || isConcluded(migration));
}

async function observeCore({ core }: Sources, projectId: number, signal: AbortSignal): Promise<CoreFact> {
  try {
    const project = await core.projects.get(projectId, signal);
    if (project === undefined) return { kind: 'missing' };
    return project.deleted ? { kind: 'deleted' } : { kind: 'found', environments: project.environments.length };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return { kind: 'problem', reason: error.name, message: error.message };
  }
}

async function observeEdge({ edge, projectMetadata }: Sources, signal: AbortSignal): Promise<EdgeFact> {
  try {
    await Promise.all([edge.describe({ signal }), projectMetadata?.describe({ signal })]);
    return { kind: 'ready' };
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    return { kind: 'problem', reason: error.name, message: error.message };
  }
}

/** Since when gaps matter to any migration, in epoch milliseconds; undefined until its sources are listed. */
export function observeHorizon(sources: Pick<Sources, 'migrations' | 'configMaps'>, now: number): number | undefined {
  const { migrations, configMaps } = sources;
  const isListed = [migrations, configMaps].every((cache) => cache.listedAge() < Number.POSITIVE_INFINITY);
  return isListed ? findHorizon(migrations.list(), (migration) => findRecord(sources, migration), now) : undefined;
}

function findRecord({ configMaps }: Pick<Sources, 'configMaps'>, { uid }: EdgeMigration): StatusRecord | undefined {
  const facts = configMaps.byIndex(BY_MIGRATION, uid).map(({ fact }) => fact);
  const kept = facts.find((fact) => fact.kind === 'record');
  return parseRecord(kept?.record);
}

/** The oldest of several EdgeMigrations of one project works; uids decide between equally old ones. */
/** The EdgeMigration that works on the project, if it is another one. */
function findOlderDuplicate({ migrations }: Sources, migration: EdgeMigration): string | undefined {
  const ofProject = migrations.byIndex(BY_PROJECT, String(projectOf(migration)));
  const chosen = chooseMigration([migration, ...ofProject.filter(({ uid }) => uid !== migration.uid)]);
  return chosen === undefined || chosen.uid === migration.uid ? undefined : titleOf(chosen);
}

function hasPlan({ jobs, configMaps }: Sources, { uid }: EdgeMigration): boolean {
  const isPlan = (owned: { operation: string }) => owned.operation === 'plan';
  return (
    configMaps.byIndex(BY_MIGRATION, uid).some(isPlan) ||
    jobs.byIndex(BY_MIGRATION, uid).some((job) => isPlan(job) && job.fact.ttlSeconds === undefined)
  );
}

async function observeWork(sources: Sources, migration: EdgeMigration, signal: AbortSignal): Promise<WorkFacts> {
  const operation = chooseOperation(migration);
  const { plan, settings, ...facts } = await observeCheckpointed(sources, migration, operation, signal);
  // A removed Job may have left pods that are still ending.
  const isAtWork = ({ fact }: Owned<PodFact>) => fact.live && !fact.workerEnded;
  const pods = sources.pods.byIndex(BY_MIGRATION, migration.uid).filter((pod) => pod.operation === operation);
  const isIdle = plan !== undefined && facts.jobs.every(({ outcome }) => outcome !== 'active') && !pods.some(isAtWork);
  return {
    ...facts,
    ranges: plan?.ranges,
    plannedTime: plan === undefined ? undefined : Date.parse(plan.plannedTime),
    liveSettings: parseLiveSettings(settings),
    idleSince: sources.idleTimes.notice(migration, isIdle),
    formerSeen: sources.formerWork.lastSeen(
      migration,
      facts.jobs.map(({ uid }) => uid),
    ),
    planIsLeft: operation === 'copy' && hasPlan(sources, migration),
  };
}

/**
 * A checkpoint is saved before its pod ends successfully. Where the cache lacks it by then, its event may have been
 * lost, and only a list brings it.
 */
async function observeCheckpointed(
  sources: Sources,
  migration: EdgeMigration,
  operation: Operation,
  signal: AbortSignal,
): Promise<OperationFacts<CheckpointFact>> {
  const facts = observeOperation(sources, migration, operation, parseCheckpoint);
  const isOver = facts.jobs.every(({ outcome }) => outcome !== 'active');
  if (facts.plan === undefined || !isOver || isConcluded(migration) || !lacksCheckpoint(facts)) return facts;
  await sources.configMaps.refresh(signal);
  return observeOperation(sources, migration, operation, parseCheckpoint);
}

/** Its checkpoints are, or will be, removed. */
const isConcluded = (migration: EdgeMigration): boolean =>
  migration.spec?.mode === 'Plan' ? migration.status.plan?.completionTime !== undefined : isCopied(migration);
