import { parseDuration } from '@edge-migration/operator/requests/duration.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ClusterOptions } from '../cluster.ts';
import { FORMATS, type Format } from '../context.ts';
import type { CommandError } from '../exit.ts';
import { parseProjectArgument, type Selection } from '../selection.ts';

export interface SelectionOptions extends ClusterOptions {
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly output?: Format;
  readonly operatorNamespace: string;
}

/** Options of every command. */
export function withCluster(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'namespace of the EdgeMigrations')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'kubeconfig');
}

export function withSelector(command: Command): Command {
  return command
    .option('-A, --all-namespaces', 'use all namespaces')
    .option('-l, --selector <labels>', 'label selector, as in kubectl');
}

export function withOutput(command: Command, formats: readonly string[] = FORMATS): Command {
  return command.addOption(new Option('-o, --output <format>', 'output format').choices(formats));
}

export function withOperator(command: Command): Command {
  return command.addOption(
    new Option('--operator-namespace <name>', 'namespace of the operator and its pods')
      .default('edge-migration')
      .env('EDGE_MIGRATION_OPERATOR_NAMESPACE'),
  );
}

/** For commander, whose message names the argument. */
export function project(text: string): number {
  try {
    return parseProjectArgument(text);
  } catch (error) {
    throw new InvalidArgumentError((error as CommandError).message);
  }
}

/** For repeatable arguments. */
export const projects = (text: string, former: number[] | undefined): number[] => [...(former ?? []), project(text)];

export function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** Seconds. */
export function duration(text: string): number {
  const seconds = parseDuration(text);
  if (!seconds) throw new InvalidArgumentError('Give a duration such as 7d, 36h or 1d12h.');
  return seconds;
}

/** Milliseconds since the epoch. */
export function parseTimeArgument(text: string): number {
  const isComplete = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const milliseconds = isComplete ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(milliseconds))
    throw new InvalidArgumentError('Give a time with its zone, such as 2026-12-31T18:00:00Z.');
  return milliseconds;
}

export function selectionOf(ids: readonly number[] | undefined, options: SelectionOptions): Selection {
  const { allNamespaces = false, selector: labelSelector } = options;
  return { projects: ids ?? [], labelSelector, allNamespaces };
}
