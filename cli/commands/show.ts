import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { renderList } from '@edge-migration/operator/render/list.ts';
import { renderStatus } from '@edge-migration/operator/render/status.ts';
import { type Context, type Format, isMachineFormat, serialiseObjects } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';

/** Prints one line for each EdgeMigration. */
export async function list(context: Context, selection: Selection, output: Format | undefined): Promise<ExitCode> {
  const { terminal, cluster, clock, signal } = context;
  const selected = await select(cluster, selection, signal);
  const migrations = selected.map(({ migration }) => migration);
  if (isMachineFormat(output)) {
    const objects = selected.map(({ object }) => object);
    terminal.write(serialiseObjects(output, objects, false));
  } else if (output === 'name') {
    terminal.write(migrations.map(({ name }) => `edgemigration.edge.flagsmith.com/${name}\n`).join(''));
  } else if (migrations.length === 0) {
    terminal.warn(describeNothing(context, selection));
  } else {
    const wide = output === 'wide';
    terminal.write(renderList(migrations, { wide, withNamespace: selection.allNamespaces, now: clock.now() }));
  }
  return EXIT.done;
}

/** Prints the whole status of each. */
export async function status(context: Context, selection: Selection, output: Format | undefined): Promise<ExitCode> {
  const { terminal, cluster, clock, signal } = context;
  if (output === 'wide' || output === 'name') return list(context, selection, output);
  const selected = await select(cluster, selection, signal);
  if (isMachineFormat(output)) {
    const objects = selected.map(({ object }) => object);
    terminal.write(serialiseObjects(output, objects, selection.projects.length === 1));
  } else if (selected.length === 0) terminal.warn(describeNothing(context, selection));
  else {
    const show = ({ migration }: { migration: EdgeMigration }) => renderStatus(migration, clock.now());
    terminal.write(selected.map(show).join('\n---\n\n'));
  }
  return EXIT.done;
}

export function describeNothing({ cluster }: Context, { allNamespaces }: Selection): string {
  return `no EdgeMigrations found${allNamespaces ? '' : ` in namespace ${cluster.namespace}; -A lists those of all`}`;
}
