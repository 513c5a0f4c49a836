import { isDeepStrictEqual } from 'node:util';
import { FIELD_MANAGER, objectNames } from '../api.ts';
import { buildReport } from '../objects.ts';
import { CONFIG_MAPS } from '../resources.ts';
import { extendSeries, parseSeries, type UsageSeries } from '../usage/series.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** Brings the daily series of requests to Core up to date; what it has of earlier days stays. */
export async function writeUsageSeries(
  { client, namespace }: ActionContext,
  { migration, signal }: Omit<ActionTarget, 'operation'>,
  days: UsageSeries['days'],
  most: number,
): Promise<void> {
  const { stillOnCore: name } = objectNames(migration, 'copy');
  const existing = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
  const { 'series.json': text } = (existing?.['data'] ?? {}) as Record<string, string>;
  const before = parseSeries(text);
  const series = extendSeries(before, days, most);
  if (isDeepStrictEqual(series, before)) return;
  const data = { 'series.json': JSON.stringify(series) };
  const object = buildReport({ migration, operation: 'copy', namespace }, { name, component: 'still-on-core', data });
  await client.apply(CONFIG_MAPS, object, { fieldManager: FIELD_MANAGER, force: true, signal });
}
