import { z } from 'zod';
import { parseJsonText } from '../parse.ts';
import { byRequests, DAY_MS, dateOf, type UsageDay } from './days.ts';

const count = z.int().nonnegative();

/** The ConfigMap's `series.json`: one entry for each UTC day that was counted, oldest first. */
const usageSeries = z.object({
  version: z.literal(1),
  days: z.array(
    z.object({
      date: z.iso.date(),
      /** `part`: some sidecars did not count, or not all day, so the counts are lower bounds. */
      known: z.enum(['all', 'part']),
      writes: count,
      reads: count,
      /** The largest rows; the rest is only in the totals. */
      rows: z.array(z.object({ environment: z.int(), client: z.string(), writes: count, reads: count })),
    }),
  ),
});

export type UsageSeries = z.infer<typeof usageSeries>;
type SeriesDay = UsageSeries['days'][number];

export const parseSeries = (text: string | undefined): UsageSeries | undefined => parseJsonText(text, usageSeries);

/** Per day. */
const MOST_ROWS = 60;
/** A ConfigMap holds a mebibyte. */
const MOST_CHARACTERS = 900_000;
/** The days of the longest window, and a month. */
const MOST_DAYS = 396;

/** The counted days in the form of the series, including those without requests. */
export function describeDays(
  days: readonly UsageDay[],
  { countedSince, now }: { countedSince: number | undefined; now: number },
): SeriesDay[] {
  const counted = new Map<string, SeriesDay>();
  // The first day that was counted in full.
  const first = countedSince === undefined ? Number.POSITIVE_INFINITY : Math.ceil(countedSince / DAY_MS);
  for (let day = Math.max(first, Math.floor(now / DAY_MS) - 7); day * DAY_MS <= now; day += 1) {
    const date = dateOf(day * DAY_MS);
    counted.set(date, { date, known: 'all', writes: 0, reads: 0, rows: [] });
  }
  for (const { date, writes, reads, rows } of days) {
    const known = Date.parse(date) >= first * DAY_MS ? 'all' : 'part';
    counted.set(date, { date, known, writes, reads, rows: rows.toSorted(byRequests).slice(0, MOST_ROWS) });
  }
  return [...counted.values()].toSorted((one, other) => one.date.localeCompare(other.date));
}

/**
 * The series with these days added. Counts only grow: where fewer are known now, because the stream has lost reports,
 * the stored counts stay.
 */
export function extendSeries(before: UsageSeries | undefined, days: readonly SeriesDay[], most: number): UsageSeries {
  const all = new Map((before?.days ?? []).map((day) => [day.date, day]));
  for (const [index, day] of days.entries()) {
    const known = all.get(day.date);
    all.set(day.date, known === undefined ? day : join(known, day, index < days.length - 2));
  }
  const sorted = [...all.values()].toSorted((one, other) => one.date.localeCompare(other.date));
  return fit(sorted.slice(-Math.min(most, MOST_DAYS)));
}

/** @param isSettled what is stored was taken once the day was over; a later gap does not revoke it */
function join(known: SeriesDay, day: SeriesDay, isSettled: boolean): SeriesDay {
  const larger = <T extends { writes: number; reads: number }>(one: T, other: T | undefined): T => ({
    ...one,
    writes: Math.max(one.writes, other?.writes ?? 0),
    reads: Math.max(one.reads, other?.reads ?? 0),
  });
  const nameOf = ({ environment, client }: SeriesDay['rows'][number]) => `${environment} ${client}`;
  const rows = new Map(known.rows.map((row) => [nameOf(row), row]));
  for (const row of day.rows) rows.set(nameOf(row), larger(row, rows.get(nameOf(row))));
  const isWhole = day.known === 'all' || (isSettled && known.known === 'all');
  return {
    ...larger(day, known),
    known: isWhole ? 'all' : 'part',
    rows: [...rows.values()].toSorted(byRequests).slice(0, MOST_ROWS),
  };
}

/** Keeps only the totals of the oldest days where not all have room. */
function fit(days: readonly SeriesDay[]): UsageSeries {
  const lengths = days.map((day) => JSON.stringify(day).length);
  let length = lengths.reduce((sum, one) => sum + one, 0);
  const fitting = days.map((day, index) => {
    if (length <= MOST_CHARACTERS) return day;
    const bare = { ...day, rows: [] };
    length -= lengths[index]! - JSON.stringify(bare).length;
    return bare;
  });
  return { version: 1, days: fitting };
}
