/** Calls to Core by day, from the operator's ConfigMap. */
export interface CoreDay {
  /** `2026-11-29`, in UTC. */
  readonly date: string;
  /** `part`: some sidecars did not count, or not all day; the counts are lower bounds. */
  readonly known: 'all' | 'part';
  readonly writes: number;
  readonly reads: number;
}

export interface CoreSeries {
  readonly days: readonly CoreDay[];
}

export interface CoreBar {
  /** Milliseconds since the epoch, at the start of the day in UTC. */
  readonly time: number;
  /** undefined: the day was not counted, which differs from zero. */
  readonly day: CoreDay | undefined;
}

/** The series in a JSON report; undefined if it has none, or one that this release cannot read. */
export function parseCoreSeries(value: unknown): CoreSeries | undefined {
  const days = (value as { days?: unknown } | null | undefined)?.days;
  return Array.isArray(days) && days.every(isDay) ? { days } : undefined;
}

function isDay(value: unknown): value is CoreDay {
  const { date, known, writes, reads } = (value ?? {}) as Partial<Record<keyof CoreDay, unknown>>;
  const isCount = (count: unknown) => typeof count === 'number' && count >= 0;
  return typeof date === 'string' && (known === 'all' || known === 'part') && isCount(writes) && isCount(reads);
}

const DAY_MS = 86_400_000;
/** A window of a year would be too many bars to see. */
const MOST_BARS = 120;

/** Each day from the first counted one to the last, including uncounted ones in between. */
export function listBars({ days }: CoreSeries): CoreBar[] {
  const byTime = new Map(days.map((day) => [Date.parse(`${day.date}T00:00:00Z`), day]));
  const times = [...byTime.keys()].filter((time) => !Number.isNaN(time));
  if (times.length === 0) return [];
  const last = Math.max(...times);
  const first = Math.max(Math.min(...times), last - (MOST_BARS - 1) * DAY_MS);
  return Array.from({ length: Math.round((last - first) / DAY_MS) + 1 }, (_, index) => {
    const time = first + index * DAY_MS;
    return { time, day: byTime.get(time) };
  });
}
