/** The geometry of a line over time, independent of the document. */
export interface Point {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** null: not measured, so the line has a gap. */
  readonly value: number | null;
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Tick {
  readonly position: number;
  readonly value: number;
}

export interface ChartLayout {
  /** The `d` of SVG paths. */
  readonly line: string;
  readonly area: string;
  readonly yTicks: readonly Tick[];
  readonly xTicks: readonly Tick[];
  /** The measured points, at their positions. */
  readonly marks: readonly { readonly x: number; readonly y: number; readonly time: number; readonly value: number }[];
}

/** Smaller values count as zero, in any unit. */
const SMALLEST = 1e-9;

/** Round steps of an axis from 0 to at least `largest`. */
export function chooseTicks(largest: number, count: number): number[] {
  if (!(largest > SMALLEST)) return [0, 1];
  const rough = largest / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999_999)!;
  const steps = Math.ceil(largest / step - 1e-9);
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** Lays out points in order of time. A single one is a dot at the right end. */
export function layOutChart(points: readonly Point[], frame: Frame, yTickCount = 3, xTickCount = 3): ChartLayout {
  const measured = points.flatMap(({ time, value }) => (value === null ? [] : [{ time, value }]));
  const ticks = chooseTicks(Math.max(0, ...measured.map(({ value }) => value)), yTickCount);
  const top = ticks.at(-1)!;
  const first = points[0]?.time ?? 0;
  const last = points.at(-1)?.time ?? 0;
  const plotWidth = frame.width - frame.left - frame.right;
  const plotHeight = frame.height - frame.top - frame.bottom;
  const xOf = (time: number) => frame.left + (last === first ? 1 : (time - first) / (last - first)) * plotWidth;
  const yOf = (value: number) => frame.top + (1 - value / top) * plotHeight;
  const runs = splitRuns(points).map((run) => run.map(({ time, value }) => [xOf(time), yOf(value)] as const));
  const base = round(frame.height - frame.bottom);
  return {
    line: runs.map(drawLine).join(''),
    area: runs.map((run) => `${drawLine(run)}L${round(run.at(-1)![0])} ${base}L${round(run[0]![0])} ${base}Z`).join(''),
    yTicks: ticks.map((value) => ({ value, position: round(yOf(value)) })),
    xTicks:
      last === first
        ? []
        : Array.from({ length: xTickCount }, (_, index) => {
            const value = first + ((last - first) * index) / (xTickCount - 1);
            return { value, position: round(xOf(value)) };
          }),
    marks: measured.map(({ time, value }) => ({ time, value, x: round(xOf(time)), y: round(yOf(value)) })),
  };
}

/** The contiguous segments. */
function splitRuns(points: readonly Point[]): { time: number; value: number }[][] {
  const runs: { time: number; value: number }[][] = [];
  let run: { time: number; value: number }[] = [];
  for (const { time, value } of points) {
    if (value === null) run = [];
    else {
      if (run.length === 0) runs.push(run);
      run.push({ time, value });
    }
  }
  return runs;
}

const round = (value: number) => Math.round(value * 10) / 10;

const drawLine = (run: readonly (readonly [number, number])[]) =>
  run.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');

/** The index of the mark nearest to a position, for a pointer. */
export function findNearest(marks: ChartLayout['marks'], x: number): number | undefined {
  let nearest: number | undefined;
  for (const [index, mark] of marks.entries())
    if (nearest === undefined || Math.abs(mark.x - x) < Math.abs(marks[nearest]!.x - x)) nearest = index;
  return nearest;
}
