import { objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { buildReportConfigMap } from '../objects.ts';
import type { StatusRecord } from '../record.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { readConfigMap } from './write-config-map.ts';

/** Stores what cannot be computed again next to the EdgeMigration, in case its status is removed. */
export async function writeRecord(
  { client, namespace }: ActionContext,
  { migration, signal }: Omit<ActionTarget, 'operation'>,
  record: StatusRecord,
) {
  const { record: name } = objectNames(migration, 'copy');
  const found = await readConfigMap(client, { namespace, name }, signal);
  const data = { record: JSON.stringify(record) };
  const object = buildReportConfigMap({ migration, operation: 'copy', namespace }, { name, component: 'record', data });
  await found.write(object);
}
