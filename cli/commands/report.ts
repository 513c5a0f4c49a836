import { writeFile } from 'node:fs/promises';
import { type ReportFormat, readReport } from '@edge-migration/operator/requests/report.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';

export interface ReportOptions {
  readonly operatorNamespace: string;
  readonly format: ReportFormat;
  /** Standard output when absent. */
  readonly file?: string | undefined;
}

/** Writes a report of one project's migration. The report lists unreadable parts, and is written without them. */
export async function report(context: Context, selection: Selection, options: ReportOptions): Promise<ExitCode> {
  const { cluster, terminal, clock, signal } = context;
  const [selected] = await select(cluster, selection, signal);
  const { migration } = selected!;
  const { operatorNamespace: namespace, format } = options;
  const source = { client: cluster.client, namespace, hint: ' (--operator-namespace)', signal };
  const { text, incomplete } = await readReport(source, migration, format, clock.now());
  for (const problem of incomplete) terminal.warn(`omitted: ${problem}`);
  if (options.file === undefined) terminal.write(text);
  else await save(options.file, text);
  return EXIT.done;
}

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new CommandError(EXIT.failed, `the report cannot be written: ${errorMessage(error)}`, { cause: error });
  }
}
