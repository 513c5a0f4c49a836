import { LABELS, type LastComparison, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { parseVerifyCheckpoint } from '../../verify/checkpoint.ts';
import { writeReportText } from '../../verify/report-text.ts';
import { buildReportConfigMap } from '../objects.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { joinLines } from './skipped-report.ts';
import { readConfigMap } from './write-config-map.ts';

/** A ConfigMap holds a mebibyte; the summary needs little of it. */
const LARGEST_SAMPLES = 700_000;
const LARGEST_SKIPPED = 200_000;

/** Stores the outcome of a comparison, for programs and for people, with its samples in one ConfigMap that is kept. */
export async function writeVerificationReport(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
  comparison: LastComparison,
) {
  const name = objectNames(migration, operation).verificationReport;
  const found = await readConfigMap(client, { namespace, name }, signal);
  const labelSelector = `${LABELS.migrationUid}=${migration.uid},${LABELS.component}=${operation}`;
  const { items } = await client.list(CONFIG_MAPS, { namespace, labelSelector, pageSize: 20 }, { signal });
  const texts = items.map((item) => (item['data'] ?? {}) as Record<string, string>);
  const linesOf = (key: string) => texts.flatMap((data) => (data[key] ?? '').split('\n')).filter((line) => line !== '');
  const samples = joinLines(linesOf('samples.jsonl'), LARGEST_SAMPLES);
  const skipped = joinLines(linesOf('skipped.jsonl'), LARGEST_SKIPPED);
  const ranges = texts.flatMap((data) => {
    const checkpoint = parseVerifyCheckpoint(data['checkpoint']);
    return checkpoint === undefined ? [] : { rangeId: checkpoint.rangeId, ...checkpoint.totals };
  });
  const report = { project: migration.spec?.projectId, generation: migration.generation, ...comparison };
  const data = {
    'report.json': JSON.stringify({ ...report, ranges: ranges.sort((a, b) => a.rangeId - b.rangeId) }),
    'report.txt': writeReportText(report),
    'samples.jsonl': samples.text,
    'skipped.jsonl': skipped.text,
    ...(samples.left > 0 ? { truncated: String(samples.left) } : {}),
  };
  const object = buildReportConfigMap(
    { migration, operation, namespace },
    { name, component: 'verification-report', data },
  );
  await found.write(object);
  logger.info({ report: name, samples: samples.lines }, 'wrote the report of the comparison');
}
