import { randomUUID } from 'node:crypto';
import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  nameOf,
  parseEdgeMigration,
} from '@edge-migration/contract/edge-migration/api.ts';
import {
  decideExtend,
  decideFinish,
  decidePlan,
  decideRequest,
  decideResume,
  decideStart,
  decideSuspend,
  type Extension,
  type Request,
  type SpecChange,
} from '@edge-migration/operator/requests/change.ts';
import type { EditTarget } from '@edge-migration/operator/requests/edit.ts';
import { readServerTime } from '@edge-migration/operator/requests/server-time.ts';
import { type Command, Option } from 'commander';
import { FIELD_MANAGER } from '../cluster.ts';
import { type ChangeOptions, changeAll } from '../commands/change.ts';
import { status } from '../commands/show.ts';
import { watch } from '../commands/watch.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import type { Run } from '../program.ts';
import { type Selection, select } from '../selection.ts';
import { readSettings, type SettingOptions } from '../settings.ts';
import {
  duration,
  parseTimeArgument,
  projects,
  type SelectionOptions,
  selectionOf,
  wholeNumber,
  withCluster,
  withOutput,
  withSelector,
} from './options.ts';

interface ChangeCommandOptions extends SelectionOptions, SettingOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly watch?: boolean;
  readonly by?: number;
  readonly until?: number;
}

/** Commands that change the spec of EdgeMigrations. */
export function addChangingCommands(program: Command, run: Run): void {
  addCreating(program, run, 'plan', 'Plans a migration: counts its work without writing to Edge.', decidePlan);
  addCreating(program, run, 'start', 'Starts a migration, or turns a plan into one.', decideStart).option(
    '-y, --yes',
    'ask nothing',
  );
  addChange(program, run, 'suspend', 'Stops copying and pauses replay; events are kept.', async () => decideSuspend);
  addChange(program, run, 'resume', 'Resumes after `suspend`.', async () => decideResume);
  for (const [request, description] of Object.entries(REQUESTS))
    addRequest(program, run, request as Request, description);
  addExtend(program, run);
  addFinish(program, run);
}

const REQUESTS: Record<Request, string> = {
  retry: 'Retries failed work now.',
  verify: 'Compares Core and Edge now.',
  repair: 'Compares Core and Edge now, and repairs differences.',
};

function withChange(command: Command): Command {
  return withOutput(withCluster(command), ['json', 'yaml', 'name']).option(
    '--dry-run',
    'make the API server validate the change without storing it',
  );
}

const changeOptionsOf = ({ dryRun = false, yes = false, output }: ChangeCommandOptions): ChangeOptions => ({
  dryRun,
  yes,
  output,
});

type DecideCreation = (
  migration: EdgeMigration | undefined,
  projectId: number,
  settings: ReturnType<typeof readSettings>,
) => SpecChange;

function addCreating(program: Command, run: Run, name: string, description: string, decide: DecideCreation): Command {
  return withChange(program.command(name).description(description))
    .argument('<project...>', 'ids of projects in Core', projects)
    .option('--watch', 'show progress until it has ended')
    .option('--parallelism <pods>', 'copy pods at the same time', wholeNumber)
    .option('--page-size <identities>', 'identities in one transaction', wholeNumber)
    .option('--max-write-units <units>', 'DynamoDB write units a second', wholeNumber)
    .addOption(new Option('--on-conflict <rule>', 'which side wins').choices(['KeepEdge', 'CoreWins']))
    .option('--window <duration>', "how long Core's writes are replayed after the copy", duration)
    .action((ids: number[], options: ChangeCommandOptions) =>
      run(options, async (context) => {
        const settings = readSettings(options);
        const targets = await readTargets(context, ids);
        const idOf = new Map(ids.map((id) => [nameOf(id), id]));
        const code = await changeAll(
          context,
          targets,
          (migration, { reference }) => decide(migration, idOf.get(reference.name)!, settings),
          changeOptionsOf(options),
        );
        if (code !== EXIT.done || !options.watch || options.dryRun) return code;
        const ended = await watch(context, selectionOf(ids, options), {});
        // The purpose of a plan.
        if (name === 'plan') await status(context, selectionOf(ids, options), undefined);
        return ended;
      }),
    );
}

async function readTargets({ cluster, signal }: Context, ids: readonly number[]): Promise<EditTarget[]> {
  const targets: EditTarget[] = [];
  for (const id of new Set(ids)) {
    const reference = { namespace: cluster.namespace, name: nameOf(id) };
    const object = await cluster.client.get(EDGE_MIGRATIONS, reference, { signal });
    targets.push({ reference, migration: object && parseEdgeMigration(object) });
  }
  return targets;
}

/** Reads what the decision needs in addition to the EdgeMigrations, of which there is at least one. */
type Prepare = (
  options: ChangeCommandOptions,
  context: Context,
  first: EdgeMigration,
) => Promise<(migration: EdgeMigration) => SpecChange>;

/** A command that changes existing EdgeMigrations. */
function addChange(program: Command, run: Run, name: string, description: string, prepare: Prepare): Command {
  return withSelector(withChange(program.command(name).description(description)))
    .argument('[project...]', 'ids of projects in Core', projects)
    .action((ids: number[], options: ChangeCommandOptions) =>
      run(options, (context) => changeSelected(context, selectionOf(ids, options), options, prepare)),
    );
}

async function changeSelected(
  context: Context,
  selection: Selection,
  options: ChangeCommandOptions,
  prepare: Prepare,
): Promise<ExitCode> {
  // An omitted selection must not mean a whole namespace.
  if (selection.projects.length === 0 && selection.labelSelector === undefined)
    throw new CommandError(EXIT.usage, 'name the projects, or select them by -l');
  const migrations = (await select(context.cluster, selection, context.signal)).map(({ migration }) => migration);
  const [first] = migrations;
  if (first === undefined) throw new CommandError(EXIT.notFound, 'no EdgeMigration has these labels');
  const decide = await prepare(options, context, first);
  const targets = migrations.map((migration) => {
    const { namespace, name } = migration;
    return { reference: { namespace, name }, migration };
  });
  return changeAll(context, targets, (migration) => decide(migration!), changeOptionsOf(options));
}

/** The API server's clock, which keeps running while a question waits for its answer. */
async function readClock({ cluster, clock, signal }: Context, { namespace, name }: EdgeMigration) {
  const editor = { fieldManager: FIELD_MANAGER, signal };
  const time = await readServerTime(cluster.client, { namespace, name }, editor);
  const readAt = clock.monotonic();
  return () => time + clock.monotonic() - readAt;
}

function addRequest(program: Command, run: Run, request: Request, description: string): void {
  // The same token for all, and for every attempt: it is one request.
  addChange(program, run, request, description, async ({ force = false }) => {
    const token = `${request}-${randomUUID().slice(0, 8)}`;
    return (migration) => decideRequest(migration, request, token, force);
  })
    .option('--force', 'replace an earlier request that the operator has not taken yet')
    .option('-y, --yes', 'ask nothing');
}

function addExtend(program: Command, run: Run): void {
  addChange(program, run, 'extend', 'Moves the end of the replay window to later.', async (options, context, first) => {
    const extension = extensionOf(options);
    const now = await readClock(context, first);
    return (migration) => decideExtend(migration, extension, now());
  })
    .option('--by <duration>', 'by a duration, such as 7d', duration)
    .option('--until <time>', 'to a time, such as 2026-12-31T18:00:00Z', parseTimeArgument)
    .option('-y, --yes', 'ask nothing');
}

/** @throws CommandError unless one of both is given */
function extensionOf({ by, until }: ChangeCommandOptions): Extension {
  if (by !== undefined && until === undefined) return { by };
  if (until !== undefined && by === undefined) return { until };
  throw new CommandError(EXIT.usage, 'give either --by or --until');
}

function addFinish(program: Command, run: Run): void {
  const description = "Closes the replay window in a minute: Core's writes are no longer replayed.";
  addChange(program, run, 'finish', description, async (_, context, first) => {
    const now = await readClock(context, first);
    return (migration) => decideFinish(migration, now());
  }).option('-y, --yes', 'ask nothing');
}
