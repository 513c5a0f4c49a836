import { writeFileSync } from 'node:fs';
import { regionName } from '@edge-migration/contract/region-name.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { z } from 'zod';
import { planRanges } from '../../copy/ranges.ts';
import { flag, parseCommandLine, textOption, workerArguments, workerOptions } from '../../job/arguments.ts';
import { roundSeconds } from '../../job/consumption.ts';
import { createStandalone, type StandaloneContext } from '../../job/standalone.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { countComparedIdentities, countDocuments, type VerifyTotals } from '../totals.ts';
import { compareWithRegions } from './compare-with-regions.ts';
import { type StandaloneVerifyConfiguration, standaloneVerifyConfiguration } from './configuration.ts';
import { describeVerifyProgress, type VerifyOptions } from './verify-range.ts';

export const VERIFY_USAGE = `Usage: npm run verify -- --project ID [options]

Compares a project's identities in Core with its documents in Edge, both ways, without Kubernetes. Differences that
writes under way explain are compared again; what replay still has to apply is not waited for.

  --project ID        the project
  --rate N            read units a second at most (default 4000)
  --page-size N       identities a page at most (default 1000)
  --on-conflict WHO   KeepEdge (default) or CoreWins: what the migration did with Edge's own documents
  --repair            make Edge agree with Core on what is found, for as long as no app writes to Edge
  --at-deadline       Edge is the authority: a repair only inserts what it lacks
  --regions LIST      regions of global tables to compare with the home region, separated by commas
  --report FILE       one line of JSON for each finding and skipped identity, as far as they are kept
  --clear             identifiers in it, instead of their hashes
  --json              the last line of the output is one JSON object
`;

const argumentsSchema = z.object({
  ...workerArguments,
  repair: z.boolean().default(false),
  'at-deadline': z.boolean().default(false),
  regions: z
    .string()
    .transform((list) => list.split(','))
    .pipe(z.array(regionName))
    .default([]),
  clear: z.boolean().default(false),
});

type Arguments = z.infer<typeof argumentsSchema>;

/** The summary of a run; `--json` prints it, together with the run's consumption. */
export type VerifySummary = { identities: number; documents: number } & VerifyTotals & { seconds: number };

const limitsOf = ({ rate }: Arguments) => ({ maxReadUnitsPerSecond: rate, maxWriteUnitsPerSecond: rate });

/** Compares a whole project in this process. */
export const runStandaloneVerification = createStandalone({
  name: 'verify',
  configuration: standaloneVerifyConfiguration,
  parseArguments: (args): Arguments =>
    parseCommandLine(
      args,
      { ...workerOptions, regions: textOption, repair: flag, 'at-deadline': flag, clear: flag },
      argumentsSchema,
      VERIFY_USAGE,
    ),
  chooseLimits: limitsOf,
  run,
});

async function run(context: StandaloneContext<Arguments, StandaloneVerifyConfiguration>): Promise<VerifySummary> {
  const { worker, configuration, signal, onLine, arguments: options } = context;
  const { stores, project, record } = worker;
  const { totals } = await compareWithRegions(
    {
      ...worker,
      range: await planProject(stores.core, project.environments, signal),
      settings: () => ({ pageSize: options['page-size'], ...limitsOf(options), appliedUntil: 'none' }),
      onProgress: (checkpoint) => onLine(describeVerifyProgress(checkpoint)),
    },
    {
      seal: createCheckpointCipher(createCipherKey()),
      onConflict: options['on-conflict'],
      repair: options.repair ? (options['at-deadline'] ? 'Edge' : 'Core') : undefined,
      clearIdentifiers: options.clear,
      regions: options.regions,
      configuration,
    },
    signal,
  );
  if (options.report !== undefined) {
    const { 'samples.jsonl': samples = '', 'skipped.jsonl': skipped = '' } = record.known() ?? {};
    writeFileSync(options.report, samples + skipped);
  }
  return summarise(totals, context.seconds());
}

/** Like {@link wholeProject}; Core's identities are read in a reliable order. */
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

/** Both directions in full, one segment for each environment and direction. */
export function wholeProject(environments: readonly { readonly id: number }[]): VerifyOptions['range'] {
  const kinds = ['core', 'documents', 'rows'] as const;
  return {
    rangeId: 0,
    segments: kinds.flatMap((kind) =>
      environments.map(({ id }) => ({ kind, environmentId: id, after: null, until: null })),
    ),
  };
}

function summarise(totals: VerifyTotals, seconds: number): VerifySummary {
  return {
    identities: countComparedIdentities(totals),
    documents: countDocuments(totals),
    ...totals,
    seconds: roundSeconds(seconds),
  };
}
