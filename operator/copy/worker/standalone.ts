import { appendFileSync, writeFileSync } from 'node:fs';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { z } from 'zod';
import { flag, parseCommandLine, text } from '../../job/arguments.ts';
import { type Consumption, measureConsumption, roundSeconds } from '../../job/consumption.ts';
import { WorkerError } from '../../job/failure.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import type { StandaloneContext } from '../../job/standalone.ts';
import { openStores } from '../../job/stores.ts';
import { type Checkpoint, NO_TOTALS, type Totals } from '../checkpoint.ts';
import { describePlanned, planRanges, type Range } from '../ranges.ts';
import type { StandaloneConfiguration } from './configuration.ts';
import { copyRange } from './copy-range.ts';
import { createPagePlanner } from './page-planner.ts';
import { createLook, createPageWriter } from './page-writer.ts';

export const USAGE = `Usage: npm run copy -- --project ID [options]

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

const integer = z.coerce.number().int().positive();

const argumentsSchema = z.object({
  project: integer,
  environment: integer.optional(),
  rate: integer.default(4000),
  'page-size': integer.max(5000).default(1000),
  'on-conflict': z.enum(['KeepEdge', 'CoreWins']).default('KeepEdge'),
  plan: z.boolean().default(false),
  report: z.string().optional(),
  json: z.boolean().default(false),
});

export type StandaloneArguments = z.infer<typeof argumentsSchema>;

/** @throws ConfigurationError that says which argument is wrong, and how to call it */
export function parseArguments(args: readonly string[]): StandaloneArguments {
  return parseCommandLine(
    args,
    {
      ...{ project: text, environment: text, rate: text, 'page-size': text, 'on-conflict': text, report: text },
      ...{ plan: flag, json: flag },
    },
    argumentsSchema,
    USAGE,
  );
}

type Context = StandaloneContext<StandaloneArguments, StandaloneConfiguration>;

/** What a run amounts to; `--json` prints it as it is. */
export type Summary = { projectId: number } & Totals['counts'] & {
    skippedByReason: Totals['skippedByReason'];
    /** Of `--plan`: write units in every region, by region, table and index. */
    plannedUnits?: Totals['plannedUnits'];
    seconds: number;
    identitiesPerSecond: number;
  } & Consumption;

const LINE_EVERY_MS = 2_000;

/**
 * Copies a whole project in this process, one segment per environment, without checkpoints that outlive it.
 *
 * @throws as `copyRange` does
 */
export async function runStandalone(context: Context): Promise<Summary> {
  const { configuration, clock, logger, signal, arguments: options } = context;
  const started = clock.monotonic();
  const patienceMs = configuration.patienceSeconds * 1000;
  const settings = { ...configuration, projectId: options.project, maxWriteUnitsPerSecond: options.rate };
  await using stores = await openStores(settings, { clock, patienceMs, signal });
  if (options.report !== undefined) writeFileSync(options.report, '');
  const { positions } = await copyRange(
    {
      stores,
      project: stores.project,
      range: await planProject(stores.core, stores.project, options.environment, signal),
      record: createMemoryRecord(),
      handlePage: options.plan ? createPagePlanner(stores, stores.tables) : createPageWriter(stores),
      settings: () => ({
        pageSize: options['page-size'],
        maxWriteUnitsPerSecond: options.rate,
        onConflict: options['on-conflict'],
      }),
      look: options.plan ? undefined : createLook(stores, configuration),
      pageMaxAgeMs: configuration.pageMaxAgeSeconds * 1000,
      lateWriteMs: configuration.lateWriteSeconds * 1000,
      patienceMs,
      instance: 'standalone',
      clock,
      logger,
      onProgress: createLines(context),
      onSkipped: (line) => options.report && appendFileSync(options.report, `${JSON.stringify(line)}\n`),
    },
    signal,
  );
  return summarise(options.project, positions[0]?.totals ?? NO_TOTALS, (clock.monotonic() - started) / 1000);
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

function createLines({ clock, onLine }: Context): (checkpoint: Checkpoint) => void {
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

function summarise(projectId: number, { counts, skippedByReason, plannedUnits }: Totals, seconds: number): Summary {
  return {
    projectId,
    ...counts,
    skippedByReason,
    ...(Object.keys(plannedUnits).length > 0 ? { plannedUnits } : {}),
    seconds: roundSeconds(seconds),
    identitiesPerSecond: Math.round(counts.read / seconds),
    ...measureConsumption(),
  };
}
