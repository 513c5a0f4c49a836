import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  parseEdgeMigration,
} from '@edge-migration/operator/edge-migration/api.ts';
import type { KubernetesObject, ObjectReference } from '@edge-migration/operator/kubernetes/client.ts';
import { ConflictError } from '@edge-migration/operator/kubernetes/errors.ts';
import { apiVersion } from '@edge-migration/operator/kubernetes/objects.ts';
import type { Change } from '../change.ts';
import { FIELD_MANAGER } from '../cluster.ts';
import { type Context, type Format, isMachineFormat, serialiseObjects } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { titleOf } from '../selection.ts';
import { printable } from '../terminal.ts';

export interface ChangeOptions {
  /** The API server judges the change and stores nothing. */
  readonly dryRun: boolean;
  /** Answers every question with yes. */
  readonly yes: boolean;
  readonly output?: Format | undefined;
}

/** An EdgeMigration that is to be changed; undefined where there is none yet. */
export interface Target {
  readonly reference: ObjectReference & { readonly namespace: string };
  readonly migration: EdgeMigration | undefined;
}

export type Decide = (migration: EdgeMigration | undefined, target: Target) => Change;

/** How often it is decided again because the EdgeMigration was changed meanwhile, by its operator for example. */
const MOST_TRIES = 8;

/**
 * Changes each target as decided. Everything that cannot be undone is asked for first, so that a no leaves all as it was.
 *
 * @returns not possible when the state of one of them does not allow it; the others are changed all the same
 * @throws CommandError (declined); ApiError of the first change that fails
 */
export async function changeAll(
  context: Context,
  targets: readonly Target[],
  decide: Decide,
  options: ChangeOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  const confirmed = targets.map((target) => warningOf(target, decide(target.migration, target)));
  await confirm(
    context,
    confirmed.filter((warning) => warning !== undefined),
    options,
  );
  const objects: KubernetesObject[] = [];
  let code: ExitCode = EXIT.done;
  for (const [index, target] of targets.entries()) {
    const { change, object } = await changeOne(context, target, decide, options, confirmed[index]);
    if (object !== undefined) objects.push(object);
    const line = `${printable(titleOf(target.reference))} ${printable(change.message)}${options.dryRun ? ' (dry run)' : ''}`;
    if (change.kind === 'refuse') {
      code = EXIT.notPossible;
      terminal.warn(line);
    } else if (options.output === 'name') terminal.write(`edgemigration.edge.flagsmith.com/${target.reference.name}\n`);
    else if (!isMachineFormat(options.output)) terminal.write(`${line}\n`);
  }
  if (isMachineFormat(options.output)) terminal.write(serialiseObjects(options.output, objects, targets.length === 1));
  return code;
}

async function changeOne(
  context: Context,
  target: Target,
  decide: Decide,
  options: ChangeOptions,
  confirmed: string | undefined,
): Promise<{ change: Change; object: KubernetesObject | undefined }> {
  let asked = confirmed;
  let { migration } = target;
  for (let tries = 1; ; tries++) {
    const change = decide(migration, target);
    const warning = warningOf(target, change);
    if (warning !== undefined && warning !== asked) await confirm(context, [warning], options);
    asked = warning;
    try {
      return { change, object: await act(context, target.reference, migration, change, options.dryRun) };
    } catch (error) {
      if (!(error instanceof ConflictError) || tries === MOST_TRIES) throw error;
      migration = await read(context, target.reference, migration);
    }
  }
}

/** @throws CommandError when the object that was to be changed is gone, or another one has its name */
async function read({ cluster, signal }: Context, reference: Target['reference'], former: EdgeMigration | undefined) {
  const object = await cluster.client.get(EDGE_MIGRATIONS, reference, { signal });
  const migration = object && parseEdgeMigration(object);
  if (former !== undefined && migration?.uid !== former.uid)
    throw new CommandError(EXIT.notFound, `${titleOf(reference)} was deleted meanwhile; nothing was changed`);
  return migration;
}

async function act(
  { cluster: { client }, signal }: Context,
  reference: Target['reference'],
  migration: EdgeMigration | undefined,
  change: Change,
  dryRun: boolean,
): Promise<KubernetesObject | undefined> {
  const options = { fieldManager: FIELD_MANAGER, dryRun, signal };
  switch (change.kind) {
    case 'create': {
      const head = { apiVersion: apiVersion(EDGE_MIGRATIONS), kind: EDGE_MIGRATIONS.kind, metadata: { ...reference } };
      return client.create(EDGE_MIGRATIONS, { ...head, spec: change.spec }, options);
    }
    case 'patch': {
      // Only what was read is changed: another object of the name, or another state, is looked at again.
      const { uid, resourceVersion } = migration!;
      return client.patch(
        EDGE_MIGRATIONS,
        reference,
        { metadata: { uid, resourceVersion }, spec: change.spec },
        options,
      );
    }
    case 'leave':
    case 'refuse':
      return client.get(EDGE_MIGRATIONS, reference, { signal });
  }
}

function warningOf({ reference }: Target, change: Change): string | undefined {
  return change.kind === 'patch' && change.warning !== undefined
    ? `${titleOf(reference)}: ${change.warning}`
    : undefined;
}

async function confirm({ terminal, signal }: Context, warnings: readonly string[], { yes, dryRun }: ChangeOptions) {
  if (warnings.length === 0) return;
  for (const warning of warnings) terminal.warn(printable(warning));
  if (yes || dryRun) return;
  const answer = await terminal.confirm('This cannot be undone. Go on?', signal);
  if (answer === true) return;
  const reason = answer === undefined ? 'there is no terminal to ask on: --yes says that you mean it' : 'not confirmed';
  throw new CommandError(EXIT.declined, `nothing was changed: ${reason}`);
}
