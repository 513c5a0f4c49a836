import { objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { SKIP_REASONS } from '@edge-migration/identity/edge/document/document.ts';
import { buildReportConfigMap } from '../objects.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { joinLines, LARGEST_REPORT } from './skipped-report.ts';
import { readConfigMap } from './write-config-map.ts';

/** Lists the identities that replay cannot follow completely in one ConfigMap, with reasons and remedies. */
export async function writeUnstorableReport(
  { client, namespace }: ActionContext,
  { migration, logger, signal }: Omit<ActionTarget, 'operation'>,
  identities: readonly UnstorableIdentity[],
) {
  const { unstorableReport: name } = objectNames(migration, 'copy');
  const found = await readConfigMap(client, { namespace, name }, signal);
  const lines = identities.map(({ environmentId, identityId, cause }) =>
    JSON.stringify({ environmentId, identityId, reason: cause }),
  );
  const report = joinLines(lines, LARGEST_REPORT);
  const reasons = new Map<string, string>(Object.entries(SKIP_REASONS));
  const causes = [...new Set(identities.map(({ cause }) => cause))].sort();
  const data = {
    'unstorable.jsonl': report.text,
    'reasons.txt': causes
      .map((cause) => `${cause}: ${reasons.get(cause) ?? 'see the logs of the appliers'}\n`)
      .join(''),
    lines: String(report.lines),
    ...(report.left > 0 ? { truncated: String(report.left) } : {}),
  };
  const object = buildReportConfigMap(
    { migration, operation: 'copy', namespace },
    { name, component: 'unstorable-report', data },
  );
  await found.write(object);
  logger.info({ report: name, identities: identities.length }, 'wrote the report of identities that Edge cannot hold');
}
