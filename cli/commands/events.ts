import { EVENTS } from '@edge-migration/kubernetes/resources.ts';
import { eventSchema, renderEvents } from '@edge-migration/operator/render/events.ts';
import { type Context, type Format, isMachineFormat, serialiseObjects } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';

/** Prints the events of the selected EdgeMigrations; those of an earlier one of the same name are omitted. */
export async function events(context: Context, selection: Selection, output: Format | undefined): Promise<ExitCode> {
  const { cluster, terminal, clock, signal } = context;
  const selected = await select(cluster, selection, signal);
  const uids = new Set(selected.map(({ migration }) => migration.uid));
  const fieldSelector = 'involvedObject.kind=EdgeMigration';
  const scope = selection.allNamespaces ? {} : { namespace: cluster.namespace };
  const { items } = await cluster.client.list(EVENTS, { ...scope, fieldSelector }, { signal });
  const known = items.filter((item) => uids.has(eventSchema.parse(item).involvedObject.uid ?? ''));
  if (isMachineFormat(output)) terminal.write(serialiseObjects(output, known, false));
  else if (known.length === 0) terminal.warn('no events; Kubernetes keeps them for an hour, `status` shows the rest');
  else {
    const parsed = known.map((item) => eventSchema.parse(item));
    terminal.write(renderEvents(parsed, clock.now()));
  }
  return EXIT.done;
}
