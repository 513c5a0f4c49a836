import {
  type EdgeMigration,
  type LastComparison,
  type PlanStatus,
  projectOf,
  titleOf,
} from '@edge-migration/contract/edge-migration/api.ts';
import { formatDuration } from '../requests/duration.ts';
import { describePhase } from './list.ts';
import { describeStillOnCore } from './still-on-core.ts';
import { formatBinaryBytes, formatCount, renderFields, renderTable } from './table.ts';

/** The whole status of one migration, for people. @param now milliseconds since the epoch */
export function renderStatus(migration: EdgeMigration, now: number): string {
  const { status } = migration;
  const sections = [
    renderFields([
      ['EdgeMigration', titleOf(migration)],
      ['Project', String(projectOf(migration))],
      ['Mode', migration.spec?.mode],
      ['Phase', describePhase(migration)],
      [
        'Message',
        status.message ?? 'no operator has processed it yet: is one running, and does it watch this namespace?',
      ],
      ['Edge', describeEdge(status)],
      ['Spec', migration.specProblem],
      ['Behind', describeUnobserved(migration)],
    ]),
    section('Plan', status.plan && `${renderFields(describePlan(status.plan))}${renderWrites(status.plan)}`),
    section('Copy', renderFields(describeCopy(migration, now))),
    section('Replay', renderFields(describeReplay(migration, now))),
    section('Clients', renderFields(describeStillOnCore(migration))),
    section('Verification', renderFields(describeVerification(migration))),
    section('Gaps', renderGaps(migration)),
    section('Conditions', renderConditions(migration)),
  ];
  return sections.filter((text) => text !== '').join('\n');
}

const section = (title: string, text: string | undefined) =>
  text ? `${title}\n${text.replace(/^/gm, '  ').trimEnd()}\n` : '';

/** Only if there is more than one region. */
function describeEdge({ edge }: EdgeMigration['status']): string | undefined {
  if (edge === undefined || edge.consistency === 'SingleRegion') return undefined;
  if (edge.consistency === 'Unknown')
    return `in ${edge.regions.join(', ')}, unless it is a global table of version 2017.11.29 (the right dynamodb:DescribeGlobalTable is missing)`;
  const version = edge.legacyVersion ? ' of version 2017.11.29' : '';
  const inactive = edge.inactiveReplicas === undefined ? '' : `; not ACTIVE: ${edge.inactiveReplicas.join(', ')}`;
  return `global table${version} with ${edge.consistency.toLowerCase()} consistency in ${edge.regions.join(', ')}${inactive}`;
}

type Fields = [string, string | undefined][];

const counted = (count: number | undefined) => (count === undefined ? undefined : formatCount(count));

/** The parts of the spec that the operator has not processed yet. */
function describeUnobserved({ spec, status, generation }: EdgeMigration): string | undefined {
  if ((status.observedGeneration ?? generation) < generation)
    return 'the operator has not seen the last change of the spec yet';
  if (spec?.retry !== undefined && spec.retry !== status.observedRetry)
    return `spec.retry ${spec.retry} is not taken yet`;
  return undefined;
}

export function describePlan(plan: PlanStatus): Fields {
  return [
    ['Identities', counted(plan.identitiesTotal)],
    ['Can be migrated', counted(plan.identitiesMigratable)],
    ['In Edge already, equal', counted(plan.existingEqual)],
    ['In Edge already, differing', counted(plan.existingDiffering)],
    ['In Edge, created there', counted(plan.existingEdgeBorn)],
    ['In Edge, to be replaced', counted(plan.existingReplaced)],
    ['Documents', plan.documentBytes === undefined ? undefined : formatBinaryBytes(plan.documentBytes)],
    ['Write units', counted(plan.writeUnits)],
    ['Time', plan.durationSeconds === undefined ? undefined : `about ${formatDuration(plan.durationSeconds)}`],
    ['Cost', plan.costUSD === undefined ? undefined : `about ${plan.costUSD} USD${describeRegions(plan)}`],
  ];
}

function describeRegions({ writes = [] }: PlanStatus): string {
  const regions = new Set(writes.map(({ region }) => region));
  return regions.size > 1 ? ` in ${regions.size} regions, without the transfer between them` : '';
}

/** Where the write units are billed; empty if the plan has no such data. */
function renderWrites({ writes = [] }: PlanStatus): string {
  if (writes.length === 0) return '';
  const rows = writes.map(({ region, table, index, writeUnits, costUSD }) => [
    ...[region, table, index, formatCount(writeUnits), costUSD],
  ]);
  return `\n${renderTable(['REGION', 'TABLE', 'INDEX', 'WRITE UNITS', 'USD'], rows)}`;
}

export function describeCopy({ status }: EdgeMigration, now: number): Fields {
  const { copy = {}, skipped } = status;
  const isRunning = copy.startTime !== undefined && copy.completionTime === undefined;
  const eta = isRunning && copy.estimatedCompletionTime;
  return [
    ['Progress', status.progress],
    [
      'Rate',
      isRunning && copy.identitiesPerSecond !== undefined
        ? `${formatCount(copy.identitiesPerSecond)} identities/s`
        : undefined,
    ],
    ['Complete in', eta ? `about ${formatDuration((Date.parse(eta) - now) / 1000)}` : undefined],
    ['Began', copy.startTime],
    ['Completed', copy.completionTime],
    ['Copied', counted(copy.identitiesCopied)],
    ['Unchanged', counted(copy.identitiesUnchanged)],
    ['Conflicting', counted(copy.identitiesConflicting)],
    ['Skipped', skipped && `${formatCount(skipped.total)}${describeReasons(skipped.byReason)}`],
    ['Write units', counted(copy.writeUnits)],
    ['Throttled', copy.throttledRequests ? `${formatCount(copy.throttledRequests)} requests` : undefined],
    ['Failed ranges', copy.rangesFailed ? `${copy.rangesFailed} of ${copy.rangesTotal}` : undefined],
  ];
}

function describeReasons(byReason: readonly { reason: string; count: number }[]): string {
  const parts = byReason.map(({ reason, count }) => `${reason} ${formatCount(count)}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

export function describeReplay({ status }: EdgeMigration, now: number): Fields {
  const { replay = {}, unstorable } = status;
  return [
    ['Deadline', replay.deadline && `${replay.deadline} (${describeDistance(replay.deadline, now)})`],
    ['Lag', replay.lag],
    ['Last applied', replay.lastAppliedTime],
    ['Events applied', counted(replay.eventsApplied)],
    ['Events dropped', replay.eventsDropped ? `${formatCount(replay.eventsDropped)} (after the deadline)` : undefined],
    ['Events parked', replay.eventsParked ? formatCount(replay.eventsParked) : undefined],
    ['Events unresolved', replay.eventsUnresolved ? formatCount(replay.eventsUnresolved) : undefined],
    [
      'Cannot be stored',
      unstorable?.total ? `${formatCount(unstorable.total)}${describeReasons(unstorable.byReason)}` : undefined,
    ],
  ];
}

/** `in 3d4h` or `3d4h ago`. */
export function describeDistance(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  return seconds >= 0 ? `in ${formatDuration(seconds)}` : `${formatDuration(-seconds)} ago`;
}

export function describeVerification({ status }: EdgeMigration): Fields {
  const { current, last } = status.verification ?? {};
  return [
    ['Under way', current && `comparison ${current.run} (${current.mode}) ${current.progress ?? ''}`.trimEnd()],
    ['Last', last && `comparison ${last.run} (${last.trigger}, ${last.mode}) of ${last.completionTime}`],
    ['Equal', last && `${formatCount(last.identitiesEqual ?? 0)} of ${formatCount(last.identitiesTotal)} identities`],
    ['Found', last && describeFindings(last)],
    ['Repaired', counted(last?.repaired)],
    ['Checksums', last && (last.coreChecksum === last.edgeChecksum ? 'the same' : 'differ')],
    ['Report', last && `ConfigMap ${last.reportName}`],
  ];
}

function describeFindings({ findings = {} }: Pick<LastComparison, 'findings'>): string {
  const parts = Object.entries(findings).map(([kind, count]) => `${kind} ${formatCount(count ?? 0)}`);
  return parts.join(', ') || 'nothing';
}

function renderGaps({ status: { gaps = [] } }: EdgeMigration): string {
  if (gaps.length === 0) return '';
  const rows = gaps.map(({ from, until, reason, podName }) => [from, until ?? 'lasts', reason, podName]);
  return renderTable(['FROM', 'UNTIL', 'REASON', 'POD'], rows);
}

function renderConditions({ status: { conditions = [] } }: EdgeMigration): string {
  if (conditions.length === 0) return '';
  const rows = conditions.map(({ type, status, reason, message }) => [type, status, reason, message]);
  return renderTable(['TYPE', 'STATUS', 'REASON', 'MESSAGE'], rows);
}
