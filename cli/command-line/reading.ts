import { CONDITION_TYPES, type ConditionType } from '@edge-migration/operator/edge-migration/conditions.ts';
import { REPORT_FORMATS, type ReportFormat } from '@edge-migration/operator/requests/report.ts';
import { type Command, Option } from 'commander';
import { doctor } from '../commands/doctor.ts';
import { events } from '../commands/events.ts';
import { logs } from '../commands/logs.ts';
import { report } from '../commands/report.ts';
import { list, status } from '../commands/show.ts';
import { watch } from '../commands/watch.ts';
import type { Run } from '../program.ts';
import {
  duration,
  project,
  projects,
  type SelectionOptions,
  selectionOf,
  wholeNumber,
  withCluster,
  withOperator,
  withOutput,
  withSelector,
} from './options.ts';

const PROJECTS = 'ids of projects in Core; all EdgeMigrations of the namespace when there are none';

/** Read-only commands. */
export function addReadingCommands(program: Command, run: Run): void {
  addList(program, run);
  addWatch(program, run);
  addLogs(program, run);
  addReport(program, run);
  addDoctor(program, run);
}

function addList(program: Command, run: Run): void {
  withOutput(withSelector(withCluster(program.command('list').description('Lists migrations, one line each.')))).action(
    (options: SelectionOptions) => run(options, (context) => list(context, selectionOf([], options), options.output)),
  );
  withOutput(withSelector(withCluster(program.command('status').description('Shows the whole status of migrations.'))))
    .argument('[project...]', PROJECTS, projects)
    .action((ids: number[], options: SelectionOptions) =>
      run(options, (context) => status(context, selectionOf(ids, options), options.output)),
    );
  const eventsCommand = program
    .command('events')
    .description('Prints the Kubernetes events of migrations, newest last.');
  withOutput(withSelector(withCluster(eventsCommand)), ['json', 'yaml'])
    .argument('[project...]', PROJECTS, projects)
    .action((ids: number[], options: SelectionOptions) =>
      run(options, (context) => events(context, selectionOf(ids, options), options.output)),
    );
}

interface WatchCommandOptions extends SelectionOptions {
  readonly interval?: number;
  readonly until?: ConditionType;
}

function addWatch(program: Command, run: Run): void {
  withSelector(withCluster(program.command('watch').description('Shows progress until the migrations have ended.')))
    .argument('[project...]', PROJECTS, projects)
    .option('--interval <duration>', 'time between updates (2s on a terminal, 10s elsewhere)', duration)
    .addOption(new Option('--until <condition>', 'end once this condition is True').choices(CONDITION_TYPES))
    .action((ids: number[], options: WatchCommandOptions) =>
      run(options, (context) =>
        watch(context, selectionOf(ids, options), { intervalSeconds: options.interval, until: options.until }),
      ),
    );
}

interface LogCommandOptions extends SelectionOptions {
  readonly operator?: boolean;
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: number;
}

function addLogs(program: Command, run: Run): void {
  withOperator(
    withCluster(program.command('logs').description("Prints the logs of a migration's copy and verify pods.")),
  )
    .argument('<project>', 'id of the project in Core', project)
    .option('--operator', "the operator's log lines about it instead")
    .option('-f, --follow', 'keep printing until the pods end')
    .option('--tail <lines>', 'only the last lines', wholeNumber)
    .option('--since <duration>', 'only lines that are not older', duration)
    .action((id: number, options: LogCommandOptions) =>
      run(options, (context) => {
        const { operatorNamespace, operator = false, follow = false, tail: tailLines, since: sinceSeconds } = options;
        const selection = selectionOf([id], options);
        return logs(context, selection, { operatorNamespace, operator, follow, tailLines, sinceSeconds });
      }),
    );
}

interface ReportCommandOptions extends Omit<SelectionOptions, 'output'> {
  readonly output: ReportFormat;
  readonly file?: string;
}

function addReport(program: Command, run: Run): void {
  withOperator(withCluster(program.command('report').description("Writes a report of a project's migration.")))
    .argument('<project>', 'id of the project in Core', project)
    .addOption(new Option('-o, --output <format>', 'output format').choices(REPORT_FORMATS).default('markdown'))
    .option('--file <path>', 'write to this file instead of standard output')
    .action((id: number, { output: format, ...options }: ReportCommandOptions) =>
      run(options, (context) => {
        const { operatorNamespace, file } = options;
        return report(context, selectionOf([id], options), { operatorNamespace, format, file });
      }),
    );
}

function addDoctor(program: Command, run: Run): void {
  const command = program.command('doctor').description('Checks for problems, and prints remedies.');
  withOutput(withOperator(withCluster(command)), ['json', 'yaml'])
    .option('-A, --all-namespaces', 'check the EdgeMigrations of all namespaces')
    .option('--probe', 'also run the check of `helm test`, as a Job in that namespace')
    .action((options: SelectionOptions & { readonly probe?: boolean }) =>
      run(options, (context) => {
        const { operatorNamespace, allNamespaces = false, probe = false, output } = options;
        return doctor(context, { operatorNamespace, allNamespaces, probe, output });
      }),
    );
}
