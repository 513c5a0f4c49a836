import { FIELD_MANAGER, objectNames } from '../api.ts';
import { buildReport } from '../objects.ts';
import type { StatusRecord } from '../record.ts';
import { CONFIG_MAPS } from '../resources.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** Puts what cannot be computed again beside the EdgeMigration, in case its status is removed. */
export async function writeRecord(
  { client, namespace }: ActionContext,
  { migration, signal }: Omit<ActionTarget, 'operation'>,
  record: StatusRecord,
) {
  const { record: name } = objectNames(migration, 'copy');
  const data = { record: JSON.stringify(record) };
  const object = buildReport({ migration, operation: 'copy', namespace }, { name, component: 'record', data });
  await client.apply(CONFIG_MAPS, object, { fieldManager: FIELD_MANAGER, force: true, signal });
}
