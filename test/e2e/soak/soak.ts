import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '../../cluster/wait.ts';
import { seedProject } from '../../core/seed.ts';
import { type Installation, install } from '../installation.ts';
import { readGaps } from '../stream.ts';
import { createCanary } from './canary.ts';
import { noteChanges, readChanges } from './changes.ts';
import { createCoreClients, type WriteCounts } from './core-clients.ts';
import { createCoreRequests } from './core-requests.ts';
import { createEdgeClients } from './edge-clients.ts';
import { type Excused, findExcuse, isOvertaken, type ReportedGap } from './excuses.ts';
import { createFaults, type Occurrence, type Timeouts } from './faults/faults.ts';
import { createScenery, type Scene, type Scenery } from './faults/scenes.ts';
import { createTargets } from './faults/targets.ts';
import { type Judgement, judge } from './judgement.ts';
import { openPopulation, type Population } from './population.ts';
import { createRandom } from './random.ts';
import { type SoakRegions, startRegions } from './regions.ts';
import { createWideRequests } from './wide-requests.ts';

export interface SoakOptions {
  /** Duration of the load, without start, the rest of the copy and draining. */
  readonly seconds: number;
  /** Requests to the Core APIs per second. */
  readonly rate: number;
  /** Decides the actions of clients and faults; the machine decides their times. */
  readonly seed: number;
  readonly identities: number;
  /** Minimum and maximum seconds from one fault to the next. */
  readonly faultPauseSeconds: readonly [number, number];
  /** Number of Edge's regions: one, or two with Edge clients in both. */
  readonly regions?: 1 | 2;
  /** Faults other than those of processes. */
  readonly scenes?: readonly Scene[];
  /** Called with progress messages. */
  readonly say: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface SoakResult extends Judgement {
  /** Differences that are due to writes inside reported gaps, each with its gap. */
  readonly excused: readonly Excused[];
  readonly writes: WriteCounts;
  readonly edgeClients: { written: number; overtaken: number; absent: number };
  /** Result of two regions. */
  readonly regional?: RegionalResult | undefined;
  readonly faults: readonly Occurrence[];
  /** Seconds from Core's answer to the document in Edge, in ascending order. */
  readonly lagSeconds: readonly number[];
  readonly canariesMissing: number;
  readonly gaps: readonly ReportedGap[];
  readonly loadSeconds: number;
  /** Time from the end of the load until the operator reported that everything was applied. */
  readonly drainSeconds: number;
  readonly eventsApplied: number;
}

interface RegionalResult {
  /** Number of writes replaced by a later one of the other region; the product's are repeated. */
  readonly lostWrites: number;
  /** Number of Edge clients' last writes that are lost for that reason. */
  readonly edgeWritesLost: number;
  /** Number of rows left of overrides that are lost for that reason. */
  readonly edgeRowsLeft: number;
  /** Time from a lost write until the winning one. */
  readonly longestWindowSeconds: number;
  /** Number of the product's requests that wrote in the other region. */
  readonly writtenElsewhere: number;
}

const MINUTES = 60_000;
const TIMEOUTS: Timeouts = { ackWaitSeconds: 5, leaseSeconds: 5, pageMaxAgeSeconds: 8 };
/** Shares of the load: before the EdgeMigration exists, and until the copy should be complete. */
const BEFORE = 0.1;
const COPYING = 0.4;
const EDGE_RATE_SHARE = 0.15;
/** Rough cost of an identity, with its indexes. */
const WRITE_UNITS_PER_IDENTITY = 4;
const WINDOW_SECONDS = 2 * 3600;
/** Limit for events and parked ones: a slow machine is minutes behind, and needs room for them as a cluster has. */
const STREAM_BYTES = 1024 ** 3;
/** More than any machine needs. */
const DRAIN_MINUTES = 15;
/** Minimum share of the load for replay under faults, however late the copy was complete. */
const REPLAYING = 0.4;
/** Load after everything was repaired. */
const TAIL_MS = 5000;

/**
 * Mixed writes to two Core APIs behind sidecars and to Edge itself, before, during and after the copy, while processes
 * are killed and frozen; then everything settles and is compared.
 */
export async function runSoak(options: SoakOptions, clock: Clock = systemClock): Promise<SoakResult> {
  const { say } = options;
  await using resources = new AsyncDisposableStack();
  const scenery = resources.use(await createScenery(options.scenes ?? []));
  const random = createRandom(options.seed);
  const regions =
    options.regions === 2
      ? resources.use(
          await startRegions({ ...options, random: random.fork('regions'), hasFailover: isHomeBroken(options) }),
        )
      : undefined;
  const installation = resources.use(await installForSoak(scenery, regions, options.signal));
  const project = await seedProject(installation.databaseUrl, { identities: options.identities, seed: options.seed });
  await noteChanges(installation.databaseUrl);
  const faultsRandom = random.fork('faults');
  const targets = createTargets(installation, faultsRandom);
  const faults = createFaults(installation, targets, {
    random: faultsRandom,
    timeouts: TIMEOUTS,
    pauseSeconds: options.faultPauseSeconds,
    others: [...(await scenery.prepare(installation, targets, random.fork('scenes'))), ...(regions?.faults ?? [])],
    say,
  });
  const population = resources.use(await openPopulation(installation.databaseUrl, project));
  const clients = resources.use(createCoreClients(await findApis(installation)));
  const { identitiesTable, environmentsV2Table } = installation.tables.settings;
  const edgeClients = { table: identitiesTable, population };
  const edge = createEdgeClients({
    ...edgeClients,
    dynamodb: installation.cluster.dynamodb,
    random: random.fork('edge clients'),
  });
  const far =
    regions &&
    createEdgeClients({
      ...edgeClients,
      dynamodb: regions.other,
      random: random.fork('far edge clients'),
      place: 'far',
    });
  const canary = createCanary(clients, population, installation.tables, canaryTimeoutMs(options));

  const started = clock.monotonic();
  const share = () => (clock.monotonic() - started) / 1000 / options.seconds;
  const ended = new AbortController();
  const mended = new AbortController();
  const next = createCoreRequests(random.fork('core clients'), population);
  const nextWide = createWideRequests(random.fork('wide requests'), population);
  const copied = Promise.withResolvers<void>();
  let isWaiting = false;
  const running = [
    faults.run(mended.signal, () => isWaiting),
    population.follow(ended.signal),
    clients.run(() => (isWaiting ? undefined : (nextWide(share()) ?? next())), options.rate, ended.signal),
    edge.run(options.rate * EDGE_RATE_SHARE, ended.signal),
    far?.run(options.rate * EDGE_RATE_SHARE, ended.signal),
    regions?.run(mended.signal),
    followLife(installation, population, options, copied.resolve, canary, ended.signal),
  ];
  const failed = Promise.all(running);
  const rest = async () => {
    const replayed = copied.promise.then(() => clock.sleep(options.seconds * REPLAYING * 1000, options.signal));
    replayed.catch(() => {});
    while (share() < 1) await clock.sleep(200, options.signal);
    // On a slow machine the copy is late; neither load nor faults must keep it from completing.
    isWaiting = true;
    await copied.promise;
    isWaiting = false;
    await replayed;
    mended.abort();
    await running[0];
    say('everything is mended');
    await clock.sleep(TAIL_MS, options.signal);
    ended.abort();
  };
  try {
    await Promise.all([rest(), failed]);
  } finally {
    mended.abort();
    ended.abort();
    await Promise.allSettled(running);
  }
  const loadSeconds = (clock.monotonic() - started) / 1000;
  say(`the load has ended after ${Math.round(loadSeconds)} s`);
  const drained = clock.monotonic();
  await clients.settle();
  await closeWindow(installation, project.projectId, clock);
  const { status } = await installation.condition(project.projectId, 'Succeeded', 'True', {
    timeoutMs: DRAIN_MINUTES * MINUTES,
    ...(options.signal && { signal: options.signal }),
  });
  const drainSeconds = (clock.monotonic() - drained) / 1000;
  say(`everything is applied after another ${Math.round(drainSeconds)} s; the stores are compared`);
  const { sharedWrites } = clients;
  const evidence = { databaseUrl: installation.databaseUrl, tables: installation.tables, population, sharedWrites };
  await regions?.settle();
  const edgeWrites = [edge.writes, ...(far ? [far.writes] : [])];
  const { violations: found, ...judgement } = await judge({ ...evidence, edgeWrites });
  const differences = (await regions?.compare([identitiesTable, environmentsV2Table])) ?? [];
  const losses = regions?.losses(identitiesTable);
  const overtaken = losses ? found.filter((violation) => isOvertaken(violation, losses.ofClients)) : [];
  const outside = (losses?.outside ?? []).map(({ write, windowMs }) => ({
    kind: 'edge write lost' as const,
    key: write.item,
    detail: `to a write of another region ${windowMs / 1000} s later`,
  }));
  const violations = [...found.filter((violation) => !overtaken.includes(violation)), ...differences, ...outside];
  const gaps = [...(status.gaps ?? []), ...(await readGaps(installation.cluster.nats))];
  const changes = await readChanges(installation.databaseUrl);
  const excused = violations.flatMap((violation) => findExcuse(violation, gaps, changes) ?? []);
  const excusedOnes = new Set(excused.map(({ violation }) => violation));
  return {
    ...judgement,
    violations: violations.filter((violation) => !excusedOnes.has(violation)),
    excused,
    writes: clients.counts,
    edgeClients: far ? addCounts(edge.counts, far.counts) : edge.counts,
    regional: losses && {
      lostWrites: losses.all.length,
      edgeWritesLost: overtaken.filter(({ kind }) => kind !== 'edge row left').length,
      edgeRowsLeft: overtaken.filter(({ kind }) => kind === 'edge row left').length,
      longestWindowSeconds: losses.longestWindowSeconds,
      writtenElsewhere: regions?.writtenElsewhere ?? 0,
    },
    faults: faults.occurrences,
    lagSeconds: canary.seconds(),
    canariesMissing: canary.missing,
    gaps,
    loadSeconds,
    drainSeconds,
    eventsApplied: status.replay?.eventsApplied ?? 0,
  };
}

type Counts = SoakResult['edgeClients'];

const addCounts = (one: Counts, other: Counts): Counts => ({
  written: one.written + other.written,
  overtaken: one.overtaken + other.overtaken,
  absent: one.absent + other.absent,
});

const isHomeBroken = ({ scenes = [], regions }: SoakOptions) => regions === 2 && scenes.includes('home');

/** If the stream loses events, some canaries never arrive; writes elsewhere arrive when the regions meet again. */
const canaryTimeoutMs = (options: SoakOptions) =>
  ((options.scenes?.includes('streams') ? 1.5 : 10) + (isHomeBroken(options) ? 4 : 0)) * MINUTES;

/** A moment later: anything observed after the deadline would stay in Core, however long ago it was written. */
async function closeWindow(installation: Installation, projectId: number, clock: Clock): Promise<void> {
  const { status } = await installation.condition(projectId, 'Copied', 'True', { timeoutMs: MINUTES });
  const seconds = (clock.now() - Date.parse(status.copy?.completionTime ?? '')) / 1000;
  await installation.apply(projectId, { replay: { windowSeconds: Math.ceil(seconds) + 1 } });
}

function installForSoak(
  { options }: Scenery,
  regions: SoakRegions | undefined,
  signal: AbortSignal | undefined,
): Promise<Installation> {
  return install({
    ...options,
    ...(regions && {
      edge: regions.home,
      edgeSettings: regions.settings,
      dynamodbEndpoint: async () => regions.endpoint,
    }),
    replay: true,
    optionalTables: true,
    pageMaxAgeSeconds: TIMEOUTS.pageMaxAgeSeconds,
    operatorEnvironment: {
      ...options.operatorEnvironment,
      EDGE_MIGRATION_LEASE_DURATION_SECONDS: String(TIMEOUTS.leaseSeconds),
      EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: String(TIMEOUTS.leaseSeconds - 1),
      EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '1',
      EDGE_MIGRATION_STREAM_MAX_BYTES: String(STREAM_BYTES),
    },
    applierEnvironment: {
      ...options.applierEnvironment,
      EDGE_MIGRATION_ACK_WAIT_SECONDS: String(TIMEOUTS.ackWaitSeconds),
      EDGE_MIGRATION_PARKED_MAX_BYTES: String(STREAM_BYTES),
    },
    ...(signal === undefined ? {} : { signal }),
  });
}

function findApis(installation: Installation): Promise<string[]> {
  const both = async () => {
    const apis = await installation.coreApis();
    return apis.length === 2 && apis;
  };
  return waitFor(both, { for: 'both Core APIs', timeoutMs: 3 * MINUTES, intervalMs: 250 });
}

/** Applies the EdgeMigration at its time, and measures the lag from the start of replay. */
async function followLife(
  installation: Installation,
  { project }: Population,
  { seconds, identities, say }: SoakOptions,
  copied: () => void,
  canary: { run(signal: AbortSignal): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const clock = systemClock;
  await clock.sleep(seconds * BEFORE * 1000, signal);
  const copySeconds = seconds * (COPYING - BEFORE);
  const units = Math.ceil((identities * WRITE_UNITS_PER_IDENTITY) / copySeconds);
  await installation.apply(project.projectId, {
    copy: { parallelism: 2, pageSize: 100, maxWriteUnitsPerSecond: Math.max(50, units) },
    replay: { windowSeconds: WINDOW_SECONDS },
  });
  say('the EdgeMigration is applied');
  const options = { timeoutMs: 30 * MINUTES, signal };
  await installation.condition(project.projectId, 'Copied', 'True', options);
  say('the copy is complete');
  copied();
  await canary.run(signal);
}
