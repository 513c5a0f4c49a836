import { LABELS, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { buildSkippedReport } from '../objects.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { readConfigMap } from './write-config-map.ts';

/** A ConfigMap holds a mebibyte; part of it is left for names and labels. */
export const LARGEST_REPORT = 900_000;

/**
 * Joins the lists of skipped identities from the ranges' checkpoints into one ConfigMap that outlives them. The key
 * `truncated` counts what does not fit; the pods' logs have every line.
 */
export async function writeSkippedReport(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
) {
  const { skippedReport: name } = objectNames(migration, operation);
  const found = await readConfigMap(client, { namespace, name }, signal);
  const labelSelector = `${LABELS.migrationUid}=${migration.uid},${LABELS.component}=${operation}`;
  const { items } = await client.list(CONFIG_MAPS, { namespace, labelSelector, pageSize: 20 }, { signal });
  const lines = items.flatMap(
    (item) => (item['data'] as Record<string, string> | undefined)?.['skipped.jsonl']?.split('\n') ?? [],
  );
  const report = joinLines(
    lines.filter((line) => line !== ''),
    LARGEST_REPORT,
  );
  const data = {
    'skipped.jsonl': report.text,
    lines: String(report.lines),
    ...(report.left > 0 ? { truncated: String(report.left) } : {}),
  };
  await found.write(buildSkippedReport({ migration, operation, namespace }, data));
  logger.info({ lines: report.lines, left: report.left }, 'wrote the report of skipped identities');
}

/** As many whole lines as fit into `limit` bytes. */
export function joinLines(lines: readonly string[], limit: number): { text: string; lines: number; left: number } {
  let bytes = 0;
  let fitting = 0;
  for (const line of lines) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > limit) break;
    fitting += 1;
  }
  const text = lines
    .slice(0, fitting)
    .map((line) => `${line}\n`)
    .join('');
  return { text, lines: fitting, left: lines.length - fitting };
}
