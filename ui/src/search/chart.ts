/** Duration over time: where a trace is on the chart, and what a dragged box holds. Pure. */
import type { TraceSummary } from "../api/types";
import { unixMs } from "../model/units";

/** A stretch of time in milliseconds since the epoch, and of durations in nanoseconds. */
export interface Box {
  readonly from: number;
  readonly to: number;
  readonly shortest: number;
  readonly longest: number;
}

export interface Axes extends Box {
  readonly width: number;
  readonly height: number;
}

const DECADE_MIN = 1_000;
const EDGE = 6;

/** Axes that hold all traces: time as asked for, durations from decade to decade. */
export function axesFor(
  traces: readonly TraceSummary[],
  range: { from: number; to: number },
  width: number,
  height: number,
): Axes {
  const durations = traces.map((t) => Math.max(DECADE_MIN, t.durationNano));
  const least = Math.min(...durations, 1e9);
  const most = Math.max(...durations, least);
  const low = 10 ** Math.floor(Math.log10(least));
  const high = 10 ** Math.ceil(Math.log10(most * 1.0001));
  return {
    ...range,
    shortest: low,
    longest: high <= low ? low * 10 : high,
    width,
    height,
  };
}

export function toX(axes: Axes, ms: number): number {
  return EDGE + ((ms - axes.from) / Math.max(1, axes.to - axes.from)) * (axes.width - 2 * EDGE);
}

/** The scale is logarithmic: a trace may take a microsecond or an hour. */
export function toY(axes: Axes, ns: number): number {
  const share =
    Math.log(Math.max(ns, axes.shortest) / axes.shortest) / Math.log(axes.longest / axes.shortest);
  return axes.height - EDGE - share * (axes.height - 2 * EDGE);
}

/** The box between two corners of the chart, in any order. */
export function boxBetween(
  axes: Axes,
  a: { x: number; y: number },
  b: { x: number; y: number },
): Box {
  const time = (x: number) =>
    axes.from + ((x - EDGE) / (axes.width - 2 * EDGE)) * (axes.to - axes.from);
  const duration = (y: number) =>
    axes.shortest *
    (axes.longest / axes.shortest) ** ((axes.height - EDGE - y) / (axes.height - 2 * EDGE));
  return {
    from: Math.round(time(Math.min(a.x, b.x))),
    to: Math.round(time(Math.max(a.x, b.x))),
    shortest: Math.round(duration(Math.max(a.y, b.y))),
    longest: Math.round(duration(Math.min(a.y, b.y))),
  };
}

export function isInside(box: Box, trace: TraceSummary): boolean {
  const at = unixMs(trace.startTimeUnixNano);
  return (
    box.from <= at &&
    at <= box.to &&
    box.shortest <= trace.durationNano &&
    trace.durationNano <= box.longest
  );
}

/** `from,to,shortest,longest` in the URL; `null` when it is no box. */
export function parseBox(text: string | null): Box | null {
  const [from, to, shortest, longest, ...more] = (text ?? "").split(",").map(Number);
  if (from === undefined || to === undefined || shortest === undefined || longest === undefined) {
    return null;
  }
  const isBox = more.length === 0 && from < to && shortest <= longest;
  return isBox ? { from, to, shortest, longest } : null;
}

export const formatBox = (b: Box) => [b.from, b.to, b.shortest, b.longest].join(",");

/** The powers of ten between the ends of the axis. */
export function decades({ shortest, longest }: Axes): number[] {
  const out: number[] = [];
  for (let ns = shortest; ns <= longest * 1.001; ns *= 10) out.push(ns);
  return out;
}

const STEPS_MS = [
  1_000, 5_000, 15_000, 30_000, 60_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 10_800_000,
  21_600_000, 43_200_000, 86_400_000,
];

/** Round moments of the time axis, about one for each `gap` pixels. */
export function moments(
  { from, to, width }: Pick<Axes, "from" | "to" | "width">,
  gap = 120,
): number[] {
  const wanted = ((to - from) / Math.max(1, width)) * gap;
  const step = STEPS_MS.find((s) => s >= wanted) ?? 7 * 86_400_000;
  const out: number[] = [];
  for (let ms = Math.ceil(from / step) * step; ms < to; ms += step) out.push(ms);
  return out;
}

export interface Cell {
  readonly column: number;
  readonly row: number;
  readonly traces: number;
  readonly errors: number;
}

/** How many traces fall into each cell of so many pixels. */
export function cells(axes: Axes, traces: readonly TraceSummary[], w: number, h: number): Cell[] {
  const found = new Map<string, { column: number; row: number; traces: number; errors: number }>();
  for (const trace of traces) {
    const column = Math.floor(toX(axes, unixMs(trace.startTimeUnixNano)) / w);
    const row = Math.floor(toY(axes, trace.durationNano) / h);
    const key = `${column},${row}`;
    const cell = found.get(key) ?? { column, row, traces: 0, errors: 0 };
    found.set(key, cell);
    cell.traces += 1;
    cell.errors += trace.errorCount > 0 ? 1 : 0;
  }
  return [...found.values()];
}
