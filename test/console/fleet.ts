/** EdgeMigrations in every state, as an operator would have left them, for showing the console. */
import type { Status } from '@edge-migration/contract/edge-migration/api.ts';

export interface FleetMember {
  readonly projectId: number;
  /** Display name; null where the project has none. */
  readonly projectName: string | null;
  readonly spec: Record<string, unknown>;
  /** undefined: no operator has seen it yet. */
  readonly status: Status | undefined;
}

type Holds = 'True' | 'False' | 'Unknown';
type States = Readonly<Record<string, readonly [status: Holds, reason: string, message?: string]>>;

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;
const WINDOW = 28 * DAY;

/** @param now milliseconds since the epoch, around which everything happens */
export function buildFleet(now: number): FleetMember[] {
  const at = (offset: number) => new Date(now + offset).toISOString().replace(/\.\d+Z$/, 'Z');
  const conditions = (states: States, since = -HOUR): NonNullable<Status['conditions']> =>
    Object.entries(states).map(([type, [status, reason, message = '']]) => ({
      ...{ type, status, reason, message, observedGeneration: 1, lastTransitionTime: at(since) },
    }));
  const ACCEPTED = { Accepted: ['True', 'Valid'], Capturing: ['True', 'AllCovered'] } as const;
  const FOLLOWING = {
    ...ACCEPTED,
    Copied: ['True', 'Complete', 'All identities are in Edge'],
    Verified: ['True', 'NothingDiffers', '412,000 identities are equal'],
    Replaying: ['True', 'Following'],
    Succeeded: ['Unknown', 'Replaying'],
  } as const;

  const copied = (total: number, daysAgo: number): Status['copy'] => ({
    startTime: at(-daysAgo * DAY - 3 * MINUTE),
    completionTime: at(-daysAgo * DAY),
    identitiesTotal: total,
    identitiesRead: total,
    identitiesCopied: Math.floor(total * 0.93),
    identitiesUnchanged: total - Math.floor(total * 0.93),
    documentBytes: total * 640,
    writeUnits: total,
    rangesTotal: 64,
    rangesDone: 64,
  });
  const compared = (total: number, findings?: Record<string, number>): Status['verification'] => ({
    last: {
      ...{ run: 1, trigger: 'AfterCopy', mode: 'Report', authority: 'Core', startTime: at(-2 * HOUR) },
      ...{ completionTime: at(-HOUR), reportName: 'project-verify-1-report', identitiesTotal: total },
      identitiesEqual: total - Object.values(findings ?? {}).reduce((sum, count) => sum + count, 0),
      documentsTotal: total,
      ...(findings === undefined ? {} : { findings }),
      ...{ coreChecksum: 'a1b2', edgeChecksum: findings === undefined ? 'a1b2' : 'c3d4' },
    },
  });
  const following = (total: number, daysAgo: number): Status => ({
    ...{ phase: 'Replaying', message: 'All identities are in Edge, and writes to Core are followed' },
    progress: `${total}/${total} (100%)`,
    conditions: conditions(FOLLOWING, -daysAgo * DAY),
    copy: copied(total, daysAgo),
    replay: {
      ...{ deadline: at(WINDOW - daysAgo * DAY), lag: '1s', lagSeconds: 1, eventsApplied: 18_204 },
      ...{ eventsUnchanged: 212, lastAppliedTime: at(-4000), progressTime: at(-1000) },
    },
    verification: compared(total),
  });

  const skipped: Status['skipped'] = {
    total: 147,
    reportName: 'project-skipped',
    byReason: [
      { reason: 'IdentifierTooLong', count: 96 },
      { reason: 'DocumentTooLarge', count: 38 },
      { reason: 'KeyTakenByAnother', count: 13 },
    ],
  };
  const planned = (total: number): Status => ({
    ...{
      phase: 'Planned',
      message: `${total.toLocaleString('en-GB')} identities can be migrated; nothing was written`,
    },
    conditions: conditions({ ...ACCEPTED, Copied: ['False', 'Planned'], Succeeded: ['True', 'Planned'] }),
    copy: { dryRun: true, identitiesTotal: total, identitiesRead: total },
    skipped,
    plan: {
      ...{ completionTime: at(-5 * MINUTE), identitiesTotal: total, identitiesMigratable: total - skipped.total },
      ...{ existingEqual: 0, existingDiffering: 12, existingEdgeBorn: 4, documentBytes: total * 640 },
      ...{ writeUnits: Math.ceil(total * 1.1), durationSeconds: 540, costUSD: '1.83' },
    },
  });
  const copying = (total: number, read: number): Status => ({
    ...{ phase: 'Copying', message: `Identities are copied by 4 pods, at most 4,000 write units a second` },
    progress: `${read}/${total} (${Math.floor((read / total) * 100)}%)`,
    conditions: conditions({
      ...ACCEPTED,
      Copied: ['False', 'Copying'],
      Replaying: ['False', 'NotCopied'],
      Succeeded: ['Unknown', 'Copying'],
    }),
    copy: {
      ...{
        startTime: at(-4 * MINUTE),
        progressTime: at(-1000),
        attempt: 1,
        identitiesTotal: total,
        identitiesRead: read,
      },
      ...{ identitiesCopied: Math.floor(read * 0.99), identitiesUnchanged: Math.ceil(read * 0.01) - 12 },
      ...{ identitiesConflicting: 12, identitiesPerSecond: 2710, writeUnits: read },
      estimatedCompletionTime: at(((total - read) / 2710) * 1000),
      ...{ rangesTotal: 64, rangesDone: 40, throttledRequests: 18 },
    },
    skipped: { ...skipped, total: 32, byReason: [{ reason: 'IdentifierTooLong', count: 32 }] },
  });
  const stillOnCore: NonNullable<Status['replay']>['stillOnCore'] = {
    state: 'Writing',
    message:
      'About 1,930 identity writes a day still reach Core, most of them by flagsmith-ios-sdk/3.6.1; their apps need another release before the deadline.',
    ...{
      countedSince: at(-19 * DAY),
      countedUntil: at(-MINUTE),
      identities: 640,
      identitiesSince: at(-6 * DAY).slice(0, 10),
      writesPerDay: 1930,
      readsPerDay: 21_400,
    },
    ...{ lastWrite: at(-4000), lastRead: at(-2000) },
    environments: [
      { id: 7, writesPerDay: 1742, readsPerDay: 19_800 },
      { id: 9, writesPerDay: 188, readsPerDay: 1600 },
    ],
    clients: [
      { name: 'flagsmith-ios-sdk/3.6.1', writesPerDay: 1214, readsPerDay: 9100 },
      { name: 'flagsmith-kotlin-sdk/1.4.0', writesPerDay: 520, readsPerDay: 8400 },
      { name: 'flagsmith-python-sdk/other', writesPerDay: 151, readsPerDay: 3100 },
      { name: 'other', writesPerDay: 45, readsPerDay: 800 },
    ],
    reportName: 'project-still-on-core',
  };
  const migrate = (projectId: number) => ({ projectId, mode: 'Migrate' });
  const four = following(412_000, 19);
  const gap = following(88_400, 6);
  const differing = following(52_310, 2);

  return [
    { projectId: 101, projectName: 'Acme web shop', spec: migrate(101), status: copying(1_840_000, 1_168_400) },
    {
      ...{ projectId: 102, projectName: 'Acme mobile apps', spec: migrate(102) },
      status: { ...four, replay: { ...four.replay, stillOnCore } },
    },
    {
      projectId: 103,
      projectName: 'Loyalty programme',
      spec: { projectId: 103, mode: 'Plan' },
      status: planned(214_800),
    },
    {
      ...{ projectId: 104, projectName: 'Payments', spec: migrate(104) },
      status: {
        ...gap,
        ...{
          phase: 'Degraded',
          message: 'Writes to Core may have been missed from 09:12 to 09:14; both stores are compared',
        },
        conditions: conditions({
          ...FOLLOWING,
          Verified: ['Unknown', 'Outdated'],
          Replaying: ['False', 'CoverageGap'],
          Degraded: ['True', 'CoverageGap', 'A sidecar stopped reporting before it had sent everything'],
        }),
        gaps: [
          {
            from: at(-3 * HOUR),
            until: at(-3 * HOUR + 2 * MINUTE),
            reason: 'sidecarVanished',
            podName: 'flagsmith-api-7d9f-x2k4j',
          },
          { from: at(-5 * MINUTE), reason: 'noSidecar', podName: 'flagsmith-api-7d9f-p8zzq' },
        ],
      },
    },
    {
      ...{ projectId: 105, projectName: 'Newsroom', spec: migrate(105) },
      status: {
        ...differing,
        ...{ phase: 'Replaying', message: 'Core and Edge differ in 27 identities: `repair` makes Edge agree' },
        conditions: conditions({ ...FOLLOWING, Verified: ['False', 'Differs', '27 identities differ'] }),
        verification: compared(52_310, { missing: 4, differing: 21, extra: 2 }),
      },
    },
    {
      ...{ projectId: 106, projectName: 'Back office', spec: { ...migrate(106), suspend: true } },
      status: {
        ...copying(730_000, 201_500),
        ...{ phase: 'Suspended', message: 'Suspended: events are kept, and the deadline stays' },
        conditions: conditions({
          ...ACCEPTED,
          Copied: ['False', 'Suspended'],
          Suspended: ['True', 'Requested'],
          Succeeded: ['Unknown', 'Suspended'],
        }),
      },
    },
    {
      ...{ projectId: 107, projectName: 'Help centre', spec: migrate(107) },
      status: {
        ...following(9_120, 31),
        ...{ phase: 'Succeeded', message: 'Everything that was written before the deadline is in Edge' },
        conditions: conditions({
          ...FOLLOWING,
          Replaying: ['False', 'WindowClosed'],
          Succeeded: ['True', 'WindowClosed'],
        }),
      },
    },
    {
      ...{ projectId: 108, projectName: 'Old kiosk', spec: migrate(108) },
      status: {
        ...{ phase: 'Failed', message: 'Project 108 was deleted in Core: delete this EdgeMigration' },
        conditions: conditions({ Accepted: ['False', 'ProjectNotFound'], Succeeded: ['False', 'ProjectNotFound'] }),
      },
    },
    {
      ...{ projectId: 109, projectName: null, spec: migrate(109) },
      status: {
        ...{
          phase: 'Rejected',
          message: 'Table flagsmith_identities cannot be described: AccessDenied. Grant dynamodb:DescribeTable',
        },
        conditions: conditions({ Accepted: ['False', 'TablesUnreachable'], Succeeded: ['Unknown', 'NotAccepted'] }),
      },
    },
    {
      ...{ projectId: 110, projectName: 'Partner portal', spec: { projectId: 110, mode: 'Plan' } },
      status: {
        ...{ phase: 'Planning', message: 'The identities of the project are counted' },
        conditions: conditions({ ...ACCEPTED, Copied: ['False', 'Planning'], Succeeded: ['Unknown', 'Planning'] }),
        copy: { dryRun: true, startTime: at(-20_000), identitiesTotal: 640_000, identitiesRead: 301_000 },
      },
    },
    { projectId: 111, projectName: 'Just created', spec: migrate(111), status: undefined },
    {
      ...{ projectId: 112, projectName: 'Smart TV', spec: migrate(112) },
      status: {
        ...copying(96_000, 91_200),
        ...{ phase: 'Retrying', message: '2 of 64 ranges failed (ThrottlingException) and are retried in 40s' },
        conditions: conditions({
          ...ACCEPTED,
          Copied: ['False', 'RangesFailed'],
          Degraded: ['True', 'RangesFailed', 'DynamoDB throttles writes: raise the capacity of the table'],
          Succeeded: ['Unknown', 'Copying'],
        }),
      },
    },
  ];
}

/** As many quiet projects that are followed as those in all states: for paging. */
export function buildQuietFleet(now: number, count: number): FleetMember[] {
  const quiet = buildFleet(now).find(({ projectId }) => projectId === 107)!;
  return Array.from({ length: count }, (_, index) => ({
    ...quiet,
    projectId: 1000 + index,
    projectName: null,
    spec: { projectId: 1000 + index, mode: 'Migrate' },
  }));
}

/** The operator's daily series of who is still on Core, for the one project of the fleet that has it. */
export function buildSeries(namespace: string) {
  const days = Array.from({ length: 20 }, (_, index) => ({
    date: new Date(Date.now() - (19 - index) * DAY).toISOString().slice(0, 10),
    known: index === 0 || index === 19 ? 'part' : 'all',
    writes: Math.round(9000 * Math.exp(-index / 11) + 500 * Math.sin(index * 1.7)),
    reads: 21_400,
    rows: [],
  })).filter((_, index) => index !== 8);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: 'project-still-on-core' },
    data: { 'series.json': JSON.stringify({ version: 1, days }) },
  };
}
