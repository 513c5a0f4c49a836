import { writeFile } from 'node:fs/promises';
import { CONFIG_MAPS } from '@edge-migration/operator/edge-migration/resources.ts';
import { ApiError, errorMessage } from '@edge-migration/operator/kubernetes/errors.ts';
import { writeHtmlReport } from '@edge-migration/operator/render/html/report.ts';
import { buildReport, type Part, type ReportFacts, writeReport } from '@edge-migration/operator/render/report.ts';
import { z } from 'zod';
import { type Context, serialise } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';

export const REPORT_FORMATS = ['markdown', 'html', 'json'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

export interface ReportOptions {
  readonly operatorNamespace: string;
  readonly format: ReportFormat;
  /** Standard output when absent. */
  readonly file?: string | undefined;
}

/** Writes what was done about one project. What may not be read is said in the report, which is written all the same. */
export async function report(context: Context, selection: Selection, options: ReportOptions): Promise<ExitCode> {
  const { cluster, terminal, clock, signal } = context;
  const [selected] = await select(cluster, selection, signal);
  const { migration } = selected!;
  const read = (name: string | undefined) => readPart(context, options.operatorNamespace, name);
  const { audit, verification, replay } = migration.status;
  const facts: ReportFacts = {
    migration,
    now: clock.now(),
    audit: await read(audit?.reportName),
    comparison: await read(verification?.last?.reportName),
    stillOnCore: await read(replay?.stillOnCore?.reportName),
  };
  const built = buildReport(facts);
  const writers: Record<ReportFormat, () => string> = {
    json: () => serialise('json', built),
    html: () => writeHtmlReport(facts),
    markdown: () => writeReport(facts),
  };
  const text = writers[options.format]();
  for (const problem of built.incomplete) terminal.warn(`left out: ${problem}`);
  if (options.file === undefined) terminal.write(text);
  else await save(options.file, text);
  return EXIT.done;
}

const dataSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

async function readPart({ cluster, signal }: Context, namespace: string, name: string | undefined) {
  if (name === undefined) return undefined;
  try {
    const object = await cluster.client.get(CONFIG_MAPS, { namespace, name }, { signal });
    if (object !== undefined) return { name, data: dataSchema.parse(object).data } satisfies Part;
    return { name, problem: `there is none in namespace ${namespace} (--operator-namespace)` } satisfies Part;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { name, problem: errorMessage(error) } satisfies Part;
  }
}

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new CommandError(EXIT.failed, `the report cannot be written: ${errorMessage(error)}`, { cause: error });
  }
}
