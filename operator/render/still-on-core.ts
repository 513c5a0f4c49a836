import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { DAY_MS, dateOf } from '../edge-migration/usage/days.ts';
import type { UsageSeries } from '../edge-migration/usage/series.ts';
import { formatCount } from './table.ts';

/** The counts of clients that still call Core, as lines; unknown counts are marked, never zero. */
export function describeStillOnCore({ status }: EdgeMigration): [string, string | undefined][] {
  const still = status.replay?.stillOnCore;
  if (still === undefined) return [];
  const { state, message, writesPerDay, readsPerDay, identities, lastWrite, clients = [], environments = [] } = still;
  const since = still.identitiesSince === undefined ? '' : ` since ${still.identitiesSince}`;
  const list = (entries: readonly { name: string; writesPerDay?: number; readsPerDay?: number }[]) =>
    entries.map(({ name, ...counts }) => `${name} (${describeCounts(counts)})`).join(', ');
  return [
    ['Still on Core', message === '' ? state : message],
    [
      'Counted a day',
      describeCounts({
        ...(writesPerDay !== undefined && { writesPerDay }),
        ...(readsPerDay !== undefined && { readsPerDay }),
      }),
    ],
    ['Identities written', identities === undefined ? undefined : `at least about ${formatCount(identities)}${since}`],
    ['Last write', lastWrite],
    ['Clients', list(clients)],
    ['Environments', list(environments.map(({ id, ...counts }) => ({ name: String(id), ...counts })))],
  ];
}

function describeCounts({ writesPerDay, readsPerDay }: { writesPerDay?: number; readsPerDay?: number }): string {
  const parts = [
    writesPerDay === undefined ? undefined : `${formatCount(writesPerDay)} writes`,
    readsPerDay === undefined ? undefined : `${formatCount(readsPerDay)} reads`,
  ].filter((part) => part !== undefined);
  return parts.join(', ') || 'not known';
}

/** Further clients are shown as one. */
const MOST_NAMED = 5;
const OTHERS = 'others';

export interface DailyCounts {
  /** The clients with the most requests, and others. */
  readonly names: readonly string[];
  /** Each day from the first to the last; `parts` is undefined if nothing was counted. */
  readonly days: readonly {
    readonly date: string;
    readonly parts: readonly number[] | undefined;
    readonly isLowerBound: boolean;
  }[];
}

/** Each client's requests by day, of all environments together. */
export function sumByClient({ days }: UsageSeries, kind: 'writes' | 'reads'): DailyCounts {
  const totals = new Map<string, number>();
  for (const { rows } of days)
    for (const row of rows) totals.set(row.client, (totals.get(row.client) ?? 0) + row[kind]);
  const ranked = [...totals].filter(([, total]) => total > 0).toSorted(([, a], [, b]) => b - a);
  const named = ranked.slice(0, MOST_NAMED).map(([name]) => name);
  const byDate = new Map(days.map((day) => [day.date, day]));
  const counted = listDates([...byDate.keys()].toSorted()).map((date) => {
    const day = byDate.get(date);
    if (day === undefined) return { date, parts: undefined, isLowerBound: false };
    const ofNamed = named.map((name) =>
      day.rows.filter(({ client }) => client === name).reduce((sum, row) => sum + row[kind], 0),
    );
    const rest = Math.max(0, day[kind] - ofNamed.reduce((sum, each) => sum + each, 0));
    return { date, parts: [...ofNamed, rest], isLowerBound: day.known === 'part' };
  });
  const hasOthers = counted.some(({ parts }) => (parts?.at(-1) ?? 0) > 0);
  if (hasOthers) return { names: [...named, OTHERS], days: counted };
  return { names: named, days: counted.map((day) => ({ ...day, parts: day.parts?.slice(0, -1) })) };
}

/** Every day from the first to the last. */
function listDates(dates: readonly string[]): string[] {
  const [first, last] = [dates[0], dates.at(-1)];
  if (first === undefined || last === undefined) return [];
  const days = Math.min(1000, Math.round((Date.parse(last) - Date.parse(first)) / DAY_MS));
  return Array.from({ length: days + 1 }, (_, index) => dateOf(Date.parse(first) + index * DAY_MS));
}
