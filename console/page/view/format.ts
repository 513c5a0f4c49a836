const LOCALE = 'en-GB';

/** `1,234,567`. */
export const formatCount = (count: number): string => count.toLocaleString(LOCALE);

const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 });

/** `1.2M`, for the axis of a chart and other narrow places. */
export const formatCompact = (count: number): string => compact.format(count).toUpperCase();

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** `1.5 GB`. */
export function formatDecimalBytes(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const options = { style: 'unit', unit: UNITS[power]!, unitDisplay: 'short', maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(LOCALE, options).format(bytes / 1000 ** power);
}

const SPANS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** `3d 4h`: a duration in its two largest units, like ages in kubectl. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const first = Math.max(
    0,
    SPANS.findIndex(([, size]) => whole >= size),
  );
  const parts = SPANS.slice(first, first + 2).map(([unit, size], index) => {
    const count = Math.floor((index === 0 ? whole : whole % SPANS[first]![1]) / size);
    return [count, unit] as const;
  });
  if (whole === 0) return '0s';
  return parts.flatMap(([count, unit]) => (count > 0 ? [`${count}${unit}`] : [])).join(' ');
}

/** A lag: tenths of a second matter below ten seconds. */
export function formatLag(seconds: number): string {
  return seconds < 10 ? `${Math.round(seconds * 10) / 10}s` : formatSpan(seconds);
}

/** 0 to 1 as `63%`; an incomplete share is never 100%, and a started one never 0%. */
export function formatShare(share: number): string {
  const percent = Math.floor(share * 100);
  return `${share > 0 && percent === 0 ? '<1' : Math.min(100, percent)}%`;
}

const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
const clockTime = new Intl.DateTimeFormat(LOCALE, { timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** `4 May 2026, 12:00`, in the reader's time zone. */
export const formatDateTime = (time: number): string => dateTime.format(time);
/** `12:00:05`, in the reader's time zone. */
export const formatClock = (time: number): string => clockTime.format(time);
/** `4 May`, of a day in UTC. */
export const formatDay = (time: number): string => day.format(time);
