import { appendFileSync, writeFileSync } from 'node:fs';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { z } from 'zod';
import { flag, integer, parseCommandLine, textOption, workerArguments, workerOptions } from '../../job/arguments.ts';
import { roundSeconds } from '../../job/consumption.ts';
import { WorkerError } from '../../job/failure.ts';
import { createStandalone, type StandaloneContext } from '../../job/standalone.ts';
import { type Checkpoint, NO_TOTALS, type Totals } from '../checkpoint.ts';
import { describePlanned, planRanges, type Range } from '../ranges.ts';
import { type StandaloneConfiguration, standaloneConfiguration } from './configuration.ts';
import { copyOrPlan } from './copy-or-plan.ts';

export const COPY_USAGE = `Usage: npm run copy -- --project ID [options]

Copies a project's identities from Core to Edge without Kubernetes. Writes that reach Core meanwhile are not replayed.

  --project ID        the project
  --environment ID    one of its environments only
  --rate N            write units a second at most (default 4000)
  --page-size N       identities a page at most (default 1000)
  --on-conflict WHO   KeepEdge (default) or CoreWins, where Edge has another document already
  --plan              count and compare only, write nothing
  --report FILE       one line of JSON for every identity that Edge cannot hold
  --json              the last line of the output is one JSON object
`;

const argumentsSchema = z.object({
  ...workerArguments,
  environment: integer.optional(),
  plan: z.boolean().default(false),
});

type Arguments = z.infer<typeof argumentsSchema>;
type Context = StandaloneContext<Arguments, StandaloneConfiguration>;

/** The summary of a run; `--json` prints it, together with the run's consumption. */
export type Summary = Totals['counts'] & {
  skippedByReason: Totals['skippedByReason'];
  /** With `--plan`: write units in every region, by region, table and index. */
  plannedUnits?: Totals['plannedUnits'];
  seconds: number;
  identitiesPerSecond: number;
};

const LINE_EVERY_MS = 2_000;

/** Copies a whole project in this process, one segment per environment. */
export const runStandaloneCopy = createStandalone({
  name: 'copy',
  configuration: standaloneConfiguration,
  parseArguments: (args): Arguments =>
    parseCommandLine(args, { ...workerOptions, environment: textOption, plan: flag }, argumentsSchema, COPY_USAGE),
  chooseLimits: ({ rate }) => ({ maxWriteUnitsPerSecond: rate }),
  run,
});

async function run(context: Context): Promise<Summary> {
  const { worker, signal, arguments: options, configuration } = context;
  const { pageMaxAgeSeconds, replicationLagSeconds } = configuration;
  const { stores, project } = worker;
  const { report } = options;
  if (report !== undefined) writeFileSync(report, '');
  const { positions } = await copyOrPlan(
    {
      ...worker,
      range: await planProject(stores.core, project, options.environment, signal),
      settings: () => ({
        pageSize: options['page-size'],
        maxWriteUnitsPerSecond: options.rate,
        onConflict: options['on-conflict'],
      }),
      onProgress: createLines(context),
      onSkipped: (line) => report && appendFileSync(report, `${JSON.stringify(line)}\n`),
    },
    { mode: options.plan ? 'Plan' : 'Migrate', pageMaxAgeSeconds, replicationLagSeconds },
    signal,
  );
  return summarise(positions[0]?.totals ?? NO_TOTALS, context.seconds());
}

async function planProject(
  core: Core,
  { id, environments }: CoreProject,
  environmentId: number | undefined,
  signal: AbortSignal,
): Promise<Range> {
  const chosen = environments.filter((environment) => environmentId === undefined || environment.id === environmentId);
  if (environmentId !== undefined && chosen.length === 0) {
    const known = environments.map((environment) => environment.id).join(', ');
    throw new WorkerError('misconfigured', `Project ${id} has no environment ${environmentId}; it has ${known}`);
  }
  const newestId = await core.identities.newestId(signal);
  const ranges = await planRanges(core, chosen, 1, signal);
  const planned = describePlanned(
    ranges.flatMap(({ bySegment }) => bySegment),
    newestId,
  );
  return { rangeId: 0, segments: ranges.flatMap(({ segments }) => segments), planned };
}

function createLines({ worker: { clock }, onLine }: Context): (checkpoint: Checkpoint) => void {
  let last = Number.NEGATIVE_INFINITY;
  return ({ positions, identitiesPerSecond, finished }) => {
    if (!finished && clock.monotonic() - last < LINE_EVERY_MS) return;
    last = clock.monotonic();
    const { read, inserted, unchanged, skipped, differing } = (positions[0]?.totals ?? NO_TOTALS).counts;
    const format = (value: number) => value.toLocaleString('en-GB');
    onLine(
      `${format(read)} identities, ${format(identitiesPerSecond)}/s: ${format(inserted)} inserted, ` +
        `${format(unchanged)} unchanged, ${format(differing)} differing, ${format(skipped)} skipped`,
    );
  };
}

function summarise({ counts, skippedByReason, plannedUnits }: Totals, seconds: number): Summary {
  return {
    ...counts,
    skippedByReason,
    ...(Object.keys(plannedUnits).length > 0 ? { plannedUnits } : {}),
    seconds: roundSeconds(seconds),
    identitiesPerSecond: Math.round(counts.read / seconds),
  };
}
