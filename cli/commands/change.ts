import { titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { printable } from '@edge-migration/operator/render/printable.ts';
import type { Warning } from '@edge-migration/operator/requests/change.ts';
import {
  type Decide,
  DeletedMeanwhileError,
  type Edit,
  type EditTarget,
  editMigration,
  warningsOf,
} from '@edge-migration/operator/requests/edit.ts';
import { FIELD_MANAGER } from '../cluster.ts';
import { type Context, type Format, isMachineFormat, serialiseObjects } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';

export interface ChangeOptions {
  /** The API server validates the change without storing it. */
  readonly dryRun: boolean;
  /** Confirms every question. */
  readonly yes: boolean;
  readonly output?: Format | undefined;
}

/**
 * Changes each target as decided. All confirmations are asked for first, so that a no changes nothing.
 *
 * @returns not possible if the state of one of them does not allow it; the others are changed
 * @throws CommandError (declined); ApiError of the first change that fails
 */
export async function changeAll(
  context: Context,
  targets: readonly EditTarget[],
  decide: Decide,
  options: ChangeOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  const shown = targets.map((target) => warningsOf(decide(target.migration, target)));
  await confirm(
    context,
    targets.flatMap((target, index) => describe(target, shown[index]!)),
    options,
  );
  const objects: KubernetesObject[] = [];
  let code: ExitCode = EXIT.done;
  for (const [index, target] of targets.entries()) {
    const { change, object } = await changeOne(context, target, decide, options, shown[index]!);
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
  target: EditTarget,
  decide: Decide,
  options: ChangeOptions,
  shown: readonly Warning[],
): Promise<Edit> {
  const { cluster, clock, signal } = context;
  const editor = { client: cluster.client, fieldManager: FIELD_MANAGER, dryRun: options.dryRun, clock, signal };
  try {
    const ask = (warnings: readonly Warning[]) => confirm(context, describe(target, warnings), options);
    const confirmed = shown.map(({ code }) => code);
    return await editMigration(editor, target, decide, ask, confirmed);
  } catch (error) {
    if (error instanceof DeletedMeanwhileError) throw new CommandError(EXIT.notFound, error.message, { cause: error });
    throw error;
  }
}

const describe = ({ reference }: EditTarget, warnings: readonly Warning[]) =>
  warnings.map(({ text }) => `${titleOf(reference)}: ${text}`);

async function confirm({ terminal, signal }: Context, warnings: readonly string[], { yes, dryRun }: ChangeOptions) {
  if (warnings.length === 0) return;
  for (const warning of warnings) terminal.warn(printable(warning));
  if (yes || dryRun) return;
  const answer = await terminal.confirm('This cannot be undone. Continue?', signal);
  if (answer === true) return;
  const reason = answer === undefined ? 'there is no terminal to ask on: confirm with --yes' : 'not confirmed';
  throw new CommandError(EXIT.declined, `nothing was changed: ${reason}`);
}
