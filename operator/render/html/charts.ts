import { formatCount } from '../table.ts';
import { html, type Markup } from './markup.ts';

/** A colour of the page, by its meaning: style.ts defines them, light and dark. */
export type ChartTone = 'good' | 'calm' | 'warn' | 'bad' | 'idle' | `series-${number}`;

export interface Share {
  readonly label: string;
  readonly count: number;
  readonly tone: ChartTone;
}

const WIDTH = 720;

/** One bar of the parts of a whole, with a legend that has all the numbers. Empty parts are omitted. */
export function drawShares(title: string, shares: readonly Share[]): Markup | undefined {
  const parts = shares.filter(({ count }) => count > 0);
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return undefined;
  let from = 0;
  const bars = parts.map(({ count, tone }) => {
    const width = (count / total) * WIDTH;
    const bar = html`<rect class="${tone}" x="${round(from)}" y="0" width="${round(Math.max(width, 1.5))}" height="26"/>`;
    from += width;
    return bar;
  });
  const said = parts.map(({ label, count }) => `${label} ${formatCount(count)}`).join(', ');
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} 26" role="img" aria-label="${title}: ${said}" preserveAspectRatio="none" class="bar">${bars}</svg>
${drawLegend(parts.map(({ label, count, tone }) => ({ label, tone, text: `${formatCount(count)} (${percent(count, total)})` })))}</figure>`;
}

function drawLegend(entries: readonly { label: string; tone: ChartTone; text?: string }[]): Markup {
  const rows = entries.map(
    ({ label, tone, text }) =>
      html`<li><svg viewBox="0 0 10 10" class="key" aria-hidden="true"><rect class="${tone}" width="10" height="10" rx="2"/></svg>${label}${text && html` <b>${text}</b>`}</li>`,
  );
  return html`<ul class="legend">${rows}</ul>`;
}

/** Bars next to each other, longest first, each with its number: for reasons. */
export function drawRanking(
  title: string,
  entries: readonly Omit<Share, 'tone'>[],
  tone: ChartTone,
): Markup | undefined {
  const rows = entries.filter(({ count }) => count > 0).toSorted((a, b) => b.count - a.count);
  const [first] = rows;
  if (first === undefined) return undefined;
  const lines = rows.map(
    ({ label, count }) =>
      html`<tr><th scope="row">${label}</th><td class="number">${formatCount(count)}</td><td class="wide"><svg viewBox="0 0 100 8" preserveAspectRatio="none" class="row" aria-hidden="true"><rect class="${tone}" width="${round(Math.max((count / first.count) * 100, 0.5))}" height="8"/></svg></td></tr>`,
  );
  return html`<figure><figcaption>${title}</figcaption><table class="ranking"><tbody>${lines}</tbody></table></figure>`;
}

interface Span {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
  readonly label: string;
  readonly tone: ChartTone;
}

export interface TimelineMark {
  readonly time: number;
  readonly label: string;
}

export interface TimelineLane {
  readonly name: string;
  readonly spans: readonly Span[];
}

const LANE_HEIGHT = 30;
const NAME_WIDTH = 120;
const AXIS_HEIGHT = 24;

/** A timeline: a lane for each kind, over one axis of time in UTC. */
export function drawTimeline(
  title: string,
  lanes: readonly TimelineLane[],
  moments: readonly TimelineMark[],
): Markup | undefined {
  const times = [
    ...lanes.flatMap(({ spans }) => spans.flatMap(({ from, until }) => [from, until])),
    ...moments.map(({ time }) => time),
  ];
  const first = Math.min(...times);
  const last = Math.max(...times);
  if (!Number.isFinite(first) || last <= first) return undefined;
  const scale = (time: number) => NAME_WIDTH + ((time - first) / (last - first)) * (WIDTH - NAME_WIDTH);
  const height = lanes.length * LANE_HEIGHT + AXIS_HEIGHT;
  const rows = lanes.map(({ name, spans }, index) => {
    const y = index * LANE_HEIGHT;
    const bars = spans.map(({ from, until, label, tone }) => {
      const width = Math.max(scale(until) - scale(from), 2);
      return html`<rect class="${tone}" x="${round(scale(from))}" y="${y + 7}" width="${round(width)}" height="16" rx="3"><title>${label}</title></rect>`;
    });
    return html`<text class="name" x="0" y="${y + 20}">${name}</text><line class="rule" x1="${NAME_WIDTH}" x2="${WIDTH}" y1="${y + 15}" y2="${y + 15}"/>${bars}`;
  });
  const marks = moments.map(
    ({ time, label }) =>
      html`<line class="moment" x1="${round(scale(time))}" x2="${round(scale(time))}" y1="0" y2="${lanes.length * LANE_HEIGHT}"><title>${label}</title></line>`,
  );
  const axis = [first, (first + last) / 2, last].map((time, index) => {
    const anchor = (['start', 'middle', 'end'] as const)[index];
    return html`<text class="tick" x="${round(scale(time))}" y="${height - 6}" text-anchor="${anchor}">${formatMoment(time)}</text>`;
  });
  const said = lanes
    .map(({ name, spans }) => `${name} ${spans.map(({ label }) => label).join(', ') || 'none'}`)
    .join('; ');
  return html`<figure><figcaption>${title}</figcaption>
<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}: ${said}" class="chart">${rows}${marks}${axis}</svg></div></figure>`;
}

interface Day {
  /** `2026-11-29`. */
  readonly date: string;
  /** Undefined: not counted, which is a gap and not zero. */
  readonly parts: readonly number[] | undefined;
  /** The count is a lower bound. */
  readonly isLowerBound: boolean;
}

export interface Columns {
  readonly days: readonly Day[];
  /** The name of each part of a day, from the bottom. */
  readonly names: readonly string[];
}

const PLOT = { height: 180, left: 56, top: 12, bottom: 26 };

/** The fill of hatched columns: defined once in a page. */
export const HATCH = html`<svg class="defs" aria-hidden="true"><defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs></svg>`;

/** A column for each day, with stacked parts; uncounted days are hatched. */
export function drawColumns(title: string, { days, names }: Columns): Markup | undefined {
  if (days.length === 0) return undefined;
  const sums = days.map(({ parts }) => (parts ?? []).reduce((sum, part) => sum + part, 0));
  const most = niceCeiling(Math.max(1, ...sums));
  const plotHeight = PLOT.height - PLOT.top - PLOT.bottom;
  const pitch = (WIDTH - PLOT.left) / days.length;
  const width = Math.min(pitch * 0.8, 40);
  const y = (count: number) => PLOT.top + (1 - count / most) * plotHeight;
  const columns = days.map(({ date, parts, isLowerBound }, index) => {
    const x = PLOT.left + index * pitch + (pitch - width) / 2;
    if (parts === undefined)
      return html`<rect class="unknown" x="${round(x)}" y="${PLOT.top}" width="${round(width)}" height="${plotHeight}"><title>${date}: not counted</title></rect>`;
    let from = 0;
    return parts.map((count, part) => {
      const top = y(from + count);
      const box = html`<rect class="series-${part}${isLowerBound && ' partial'}" x="${round(x)}" y="${round(top)}" width="${round(width)}" height="${round(y(from) - top)}"><title>${date}: ${names[part]} ${isLowerBound && 'at least '}${formatCount(count)}</title></rect>`;
      from += count;
      return box;
    });
  });
  const grid = [0, most / 2, most].map(
    (count) =>
      html`<line class="rule" x1="${PLOT.left}" x2="${WIDTH}" y1="${round(y(count))}" y2="${round(y(count))}"/><text class="tick" x="${PLOT.left - 8}" y="${round(y(count) + 4)}" text-anchor="end">${formatCount(count)}</text>`,
  );
  const labelled = [...new Set([0, Math.floor((days.length - 1) / 2), days.length - 1])];
  const labels = labelled.map((index) => {
    const x = PLOT.left + index * pitch + pitch / 2;
    const anchor = index === days.length - 1 && index > 0 ? 'end' : index === 0 && days.length > 1 ? 'start' : 'middle';
    return html`<text class="tick" x="${round(anchor === 'end' ? WIDTH : x)}" y="${PLOT.height - 8}" text-anchor="${anchor}">${days[index]!.date}</text>`;
  });
  const said = days
    .map(
      ({ date, parts, isLowerBound }, index) =>
        `${date} ${parts === undefined ? 'not counted' : `${isLowerBound ? 'at least ' : ''}${formatCount(sums[index]!)}`}`,
    )
    .join(', ');
  const legend = names.map((label, part) => ({ label, tone: `series-${part}` as const }));
  return html`<figure><figcaption>${title}</figcaption>
<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${PLOT.height}" role="img" aria-label="${title}: ${said}" class="chart">
${grid}${columns}${labels}</svg></div>
${drawLegend(legend)}</figure>`;
}

/**
 * The smallest of 1, 2, 4, 5 and 10 times a power of ten that is not less, so that half of it is a whole number too.
 */
function niceCeiling(count: number): number {
  const power = 10 ** Math.floor(Math.log10(count));
  return Math.max(2, [1, 2, 4, 5, 10].map((factor) => factor * power).find((each) => each >= count)!);
}

const percent = (count: number, total: number) => {
  const share = (100 * count) / total;
  if (share < 0.1) return 'less than 0.1%';
  return share > 99.9 && count < total ? 'more than 99.9%' : `${Number(share.toFixed(1))}%`;
};

const formatMoment = (time: number) => `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
const round = (value: number) => Math.round(value * 10) / 10;
