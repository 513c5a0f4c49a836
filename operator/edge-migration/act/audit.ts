import {
  EDGE_MIGRATIONS,
  OPERATOR_FIELD_MANAGER,
  objectNames,
  type Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import { z } from 'zod';
import { type Audit, auditSchema, extendAudit, writeAuditText } from '../../verify/audit.ts';
import { formatTime } from '../conditions.ts';
import { buildReportConfigMap } from '../objects.ts';
import { parseJsonText } from '../parse.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { readConfigMap } from './write-config-map.ts';

const managedFieldsSchema = z
  .array(
    z.object({
      manager: z.string(),
      operation: z.string(),
      time: z.string().optional(),
      subresource: z.string().optional(),
    }),
  )
  .default([]);

/**
 * Brings the migration's audit up to date: keeps what it has and adds what the status now says. It lives as long as the
 * EdgeMigration and holds only counts: it may be sent to the people whose data was moved.
 */
export async function writeAudit(
  { client, clock, namespace }: ActionContext,
  { migration, logger, signal }: Omit<ActionTarget, 'operation'>,
  status: Status,
) {
  const { audit: name } = objectNames(migration, 'copy');
  const [existing, live] = await Promise.all([
    readConfigMap(client, { namespace, name }, signal),
    client.get(EDGE_MIGRATIONS, migration, { signal }),
  ]);
  const known = parseJsonText(existing.data['audit.json'], auditSchema);
  const managers = managedFieldsSchema.safeParse(live?.metadata['managedFields']).data ?? [];
  const audit: Audit = extendAudit(known, {
    migration,
    status,
    now: formatTime(clock.now()),
    writers: managers.flatMap(({ manager, operation, time, subresource }) =>
      subresource === undefined && manager !== OPERATOR_FIELD_MANAGER ? { manager, operation, time: time ?? '' } : [],
    ),
  });
  const data = { 'audit.json': JSON.stringify(audit), 'audit.txt': writeAuditText(audit) };
  const object = buildReportConfigMap({ migration, operation: 'copy', namespace }, { name, component: 'audit', data });
  await existing.write(object);
  logger.info({ report: name }, 'brought the audit up to date');
}
