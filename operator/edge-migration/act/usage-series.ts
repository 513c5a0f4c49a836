import { isDeepStrictEqual } from 'node:util';
import { objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { buildReportConfigMap } from '../objects.ts';
import { extendSeries, parseSeries, type UsageSeries } from '../usage/series.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { readConfigMap } from './write-config-map.ts';

/** Brings the daily series of requests to Core up to date and keeps its earlier days. */
export async function writeUsageSeries(
  { client, namespace }: ActionContext,
  { migration, signal }: Omit<ActionTarget, 'operation'>,
  days: UsageSeries['days'],
  most: number,
): Promise<void> {
  const { stillOnCore: name } = objectNames(migration, 'copy');
  const existing = await readConfigMap(client, { namespace, name }, signal);
  const before = parseSeries(existing.data['series.json']);
  const series = extendSeries(before, days, most);
  if (isDeepStrictEqual(series, before)) return;
  const data = { 'series.json': JSON.stringify(series) };
  const object = buildReportConfigMap(
    { migration, operation: 'copy', namespace },
    { name, component: 'still-on-core', data },
  );
  await existing.write(object);
}
