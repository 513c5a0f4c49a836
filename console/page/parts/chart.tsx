import { useEffect, useRef, useState } from 'preact/hooks';
import { TEXT } from '../text.ts';
import { findNearest, layOutChart, type Point } from '../view/chart.ts';
import { formatClock, formatDateTime } from '../view/format.ts';

const { charts: TEXTS } = TEXT;
const HEIGHT = 150;
const MARGINS = { left: 46, right: 10, top: 12, bottom: 24 };
const DAY_MS = 86_400_000;
/** As many rows as the table of a chart has. */
const TABLE_ROWS = 20;

interface ChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly format: (value: number) => string;
  /** Short form, for the axis. */
  readonly formatTick: (value: number) => string;
}

/** One measure over time: a line, and a summary and a table for screen readers. */
export function Chart({ title, points, format, formatTick }: ChartProps) {
  const last = points.findLast(({ value }) => value !== null)?.value;
  return (
    <figure class="chart">
      <figcaption>
        {title}
        {last !== undefined && last !== null && <strong>{format(last)}</strong>}
      </figcaption>
      {points.length < 2 ? (
        <p class="chart-empty">{TEXTS.waiting}</p>
      ) : (
        <>
          <Line title={title} points={points} format={format} formatTick={formatTick} />
          <Table title={title} points={points} format={format} />
        </>
      )}
    </figure>
  );
}

function Line({ title, points, format, formatTick }: ChartProps) {
  const [box, width] = useWidth();
  const [pointed, setPointed] = useState<number>();
  const layout = layOutChart(points, { width, height: HEIGHT, ...MARGINS });
  const values = layout.marks.map(({ value }) => value);
  const mark = pointed === undefined ? undefined : layout.marks[pointed];
  const formatX = points.at(-1)!.time - points[0]!.time > DAY_MS ? formatDateTime : formatClock;
  const summary = TEXTS.summary(format(values.at(-1)!), format(Math.min(...values)), format(Math.max(...values)));

  function point(event: PointerEvent) {
    const { left } = (event.currentTarget as SVGElement).getBoundingClientRect();
    setPointed(findNearest(layout.marks, event.clientX - left));
  }

  return (
    <div ref={box} class="chart-box">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`${title}. ${summary}`}
        onPointerMove={point}
        onPointerLeave={() => setPointed(undefined)}
      >
        {layout.yTicks.map(({ position, value }) => (
          <g key={value}>
            <line class="grid" x1={MARGINS.left} x2={width - MARGINS.right} y1={position} y2={position} />
            <text class="tick" x={MARGINS.left - 8} y={position + 4} text-anchor="end">
              {formatTick(value)}
            </text>
          </g>
        ))}
        {layout.xTicks.map(({ position, value }, index) => (
          <text
            key={value}
            class="tick"
            x={position}
            y={HEIGHT - 6}
            text-anchor={index === 0 ? 'start' : index === layout.xTicks.length - 1 ? 'end' : 'middle'}
          >
            {formatX(value)}
          </text>
        ))}
        <path class="area" d={layout.area} />
        <path class="line" d={layout.line} />
        {mark && <line class="cross" x1={mark.x} x2={mark.x} y1={MARGINS.top} y2={HEIGHT - MARGINS.bottom} />}
        <circle class="mark" cx={(mark ?? layout.marks.at(-1)!).x} cy={(mark ?? layout.marks.at(-1)!).y} r="3.5" />
      </svg>
      {mark && <p class="chart-hint">{TEXTS.at(format(mark.value), formatX(mark.time))}</p>}
    </div>
  );
}

function Table({ title, points, format }: Pick<ChartProps, 'title' | 'points' | 'format'>) {
  const step = Math.ceil(points.length / TABLE_ROWS);
  const rows = points.filter((_, index) => (points.length - 1 - index) % step === 0);
  return (
    <details class="chart-table">
      <summary>
        {TEXTS.table}
        <span class="hidden">: {title}</span>
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">{TEXTS.time}</th>
            <th scope="col">{title}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, value }) => (
            <tr key={time}>
              <td>{formatClock(time)}</td>
              <td>{value === null ? '–' : format(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** The width of an element, as it changes. */
function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(320);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(160, Math.floor(entry!.contentRect.width))));
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
}
