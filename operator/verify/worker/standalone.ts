import { writeFileSync } from 'node:fs';
import { regionName } from '@edge-migration/contract/region-name.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { z } from 'zod';
import { planRanges } from '../../copy/ranges.ts';
import { flag, parseCommandLine, text } from '../../job/arguments.ts';
import { type Consumption, measureConsumption, roundSeconds } from '../../job/consumption.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import type { StandaloneContext } from '../../job/standalone.ts';
import { openStores } from '../../job/stores.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { countDocuments, countIdentities, type VerifyTotals } from '../totals.ts';
import type { StandaloneVerifyConfiguration } from './configuration.ts';
import { HOLD_MS } from './hold.ts';
import { openRegions } from './regions.ts';
import { describeProgress, type VerifyOptions, verifyRange } from './verify-range.ts';

export const USAGE = `Usage: npm run verify -- --project ID [options]

Compares a project's identities in Core with its documents in Edge, both ways, without Kubernetes. Differences that
writes under way explain are looked at again; what replay still has to apply is not waited for.

  --project ID        the project
  --rate N            read units a second at most (default 4000)
  --page-size N       identities a page at most (default 1000)
  --on-conflict WHO   KeepEdge (default) or CoreWins: what the migration did with Edge's own documents
  --repair            make Edge agree with Core on what is found, for as long as no app writes to Edge
  --at-deadline       Edge is the master: a repair only inserts what it lacks
  --regions LIST      regions of global tables to compare with the home region, separated by commas
  --report FILE       one line of JSON for each finding and skipped identity, as far as they are kept
  --clear             identifiers in it, instead of their hashes
  --json              the last line of the output is one JSON object
`;

const integer = z.coerce.number().int().positive();

const argumentsSchema = z.object({
  project: integer,
  rate: integer.default(4000),
  'page-size': integer.max(5000).default(1000),
  'on-conflict': z.enum(['KeepEdge', 'CoreWins']).default('KeepEdge'),
  repair: z.boolean().default(false),
  'at-deadline': z.boolean().default(false),
  regions: z
    .string()
    .transform((list) => list.split(','))
    .pipe(z.array(regionName))
    .default([]),
  report: z.string().optional(),
  clear: z.boolean().default(false),
  json: z.boolean().default(false),
});

export type VerifyArguments = z.infer<typeof argumentsSchema>;

/** @throws ConfigurationError that says which argument is wrong, and how to call it */
export function parseVerifyArguments(args: readonly string[]): VerifyArguments {
  return parseCommandLine(
    args,
    {
      ...{ project: text, rate: text, 'page-size': text, 'on-conflict': text, regions: text, report: text },
      ...{ repair: flag, 'at-deadline': flag, clear: flag, json: flag },
    },
    argumentsSchema,
    USAGE,
  );
}

/** What a run amounts to; `--json` prints it as it is. */
export type VerifySummary = { projectId: number; identities: number; documents: number } & VerifyTotals & {
    seconds: number;
  } & Consumption;

/**
 * Compares a whole project in this process.
 *
 * @throws as `verifyRange` does
 */
export async function runStandaloneVerification(
  context: StandaloneContext<VerifyArguments, StandaloneVerifyConfiguration>,
): Promise<VerifySummary> {
  const { configuration, clock, logger, signal, onLine, arguments: options } = context;
  const started = clock.monotonic();
  const patienceMs = configuration.patienceSeconds * 1000;
  const limits = { maxReadUnitsPerSecond: options.rate, maxWriteUnitsPerSecond: options.rate };
  const settings = { ...configuration, projectId: options.project, ...limits };
  await using stores = await openStores(settings, { clock, patienceMs, signal });
  const limited = { ...configuration, maxReadUnitsPerSecond: options.rate };
  using regions = await openRegions(stores.edge, limited, options.regions, { clock, patienceMs, signal });
  const record = createMemoryRecord();
  const { totals } = await verifyRange(
    {
      stores,
      regions: regions.tables,
      lagMs: configuration.replicationLagSeconds * 1000,
      project: stores.project,
      range: await planProject(stores.core, stores.project.environments, signal),
      record,
      seal: createCheckpointCipher(createCipherKey()),
      settings: () => ({ pageSize: options['page-size'], ...limits, appliedUntil: 'none' }),
      onConflict: options['on-conflict'],
      repair: options.repair ? (options['at-deadline'] ? 'AtDeadline' : 'AfterCopy') : undefined,
      clearIdentifiers: options.clear,
      settleMs: configuration.settleSeconds * 1000,
      replayPatienceMs: configuration.replayPatienceSeconds * 1000,
      patienceMs,
      lateWriteMs: configuration.lateWriteSeconds * 1000,
      holdMs: HOLD_MS,
      instance: 'standalone',
      clock,
      logger,
      onProgress: (checkpoint) => onLine(describeProgress(checkpoint)),
    },
    signal,
  );
  if (options.report !== undefined) {
    const { 'samples.jsonl': samples = '', 'skipped.jsonl': skipped = '' } = record.texts();
    writeFileSync(options.report, samples + skipped);
  }
  return summarise(options.project, totals, (clock.monotonic() - started) / 1000);
}

/** As {@link wholeProject}; Core's identities are read in an order that can be relied on. */
async function planProject(
  core: Core,
  environments: readonly CoreEnvironment[],
  signal: AbortSignal,
): Promise<VerifyOptions['range']> {
  const ranges = await planRanges(core, environments, 1, signal);
  const segments = ranges.flatMap((range) => range.segments.map((segment) => ({ kind: 'core' as const, ...segment })));
  return {
    rangeId: 0,
    segments: [...segments, ...wholeProject(environments).segments.filter(({ kind }) => kind !== 'core')],
  };
}

/** All of both directions, one segment for each environment and direction. */
export function wholeProject(environments: readonly { readonly id: number }[]): VerifyOptions['range'] {
  const kinds = ['core', 'documents', 'rows'] as const;
  return {
    rangeId: 0,
    segments: kinds.flatMap((kind) =>
      environments.map(({ id }) => ({ kind, environmentId: id, after: null, until: null })),
    ),
  };
}

function summarise(projectId: number, totals: VerifyTotals, seconds: number): VerifySummary {
  return {
    projectId,
    identities: countIdentities(totals),
    documents: countDocuments(totals),
    ...totals,
    seconds: roundSeconds(seconds),
    ...measureConsumption(),
  };
}
