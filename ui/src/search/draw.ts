/** Draws the chart of durations over time. Keeps no state. */
import type { TraceSummary } from "../api/types";
import { formatDuration, unixMs } from "../model/units";
import type { Palette } from "../shared/palette";
import { type Axes, cells, decades, moments, toX, toY } from "./chart";

const CELL = { width: 14, height: 10 } as const;
const FONT = '500 11px "Inter Variable", system-ui, sans-serif';

export interface ChartScene {
  readonly axes: Axes;
  readonly traces: readonly TraceSummary[];
  readonly isHeat: boolean;
  /** Nothing is known of what is older than this, in milliseconds since the epoch. */
  readonly knownFrom: number;
  readonly hovered: TraceSummary | null;
  readonly isInside: (trace: TraceSummary) => boolean;
  readonly palette: Palette;
  readonly color: (service: string) => string;
  readonly sayTime: (ms: number) => string;
}

export function drawChart(ctx: CanvasRenderingContext2D, scene: ChartScene): void {
  const { axes, palette } = scene;
  ctx.fillStyle = palette.surface;
  ctx.fillRect(0, 0, axes.width, axes.height);
  const unknown = toX(axes, scene.knownFrom);
  if (unknown > 8) {
    ctx.fillStyle = palette.sunken;
    ctx.fillRect(0, 0, unknown, axes.height);
  }
  ctx.font = FONT;
  ctx.textBaseline = "alphabetic";
  for (const ns of decades(axes)) {
    const y = Math.round(toY(axes, ns));
    ctx.fillStyle = palette.line;
    ctx.fillRect(0, y, axes.width, 1);
  }
  for (const ms of moments(axes)) {
    const x = Math.round(toX(axes, ms));
    ctx.fillStyle = palette.line;
    ctx.fillRect(x, 0, 1, axes.height);
  }
  if (scene.isHeat) drawCells(ctx, scene);
  else drawPoints(ctx, scene);
  // Labels come last, so that they stay legible.
  ctx.textAlign = "left";
  for (const ns of decades(axes)) {
    if (ns === axes.shortest) continue;
    plate(
      ctx,
      formatDuration(ns).replace(/\.00?(?= )/, ""),
      4,
      Math.max(13, toY(axes, ns) + 4),
      palette,
    );
  }
  for (const ms of moments(axes)) {
    const x = toX(axes, ms);
    if (x > 60 && x < axes.width - 60)
      plate(ctx, scene.sayTime(ms), x + 4, axes.height - 4, palette);
  }
}

function plate(
  ctx: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  palette: Palette,
) {
  ctx.fillStyle = palette.surface;
  ctx.globalAlpha = 0.8;
  ctx.fillRect(x - 2, y - 10, ctx.measureText(text).width + 4, 13);
  ctx.globalAlpha = 1;
  ctx.fillStyle = palette.ink3;
  ctx.fillText(text, x, y);
}

function drawCells(ctx: CanvasRenderingContext2D, { axes, traces, palette }: ChartScene): void {
  const found = cells(axes, traces, CELL.width, CELL.height);
  const most = Math.max(1, ...found.map((c) => c.traces));
  for (const { column, row, traces: n, errors } of found) {
    const share = Math.log(n + 1) / Math.log(most + 1);
    const [x, y] = [column * CELL.width, row * CELL.height];
    ctx.fillStyle = errors > 0 ? palette.error : palette.accent;
    ctx.globalAlpha = 0.18 + 0.82 * (errors > 0 ? Math.max(0.5, errors / n) : share);
    ctx.fillRect(x + 0.5, y + 0.5, CELL.width - 1, CELL.height - 1);
  }
  ctx.globalAlpha = 1;
}

/** Failed traces are drawn last and as rings with a cross: told by shape, not by colour alone. */
function drawPoints(ctx: CanvasRenderingContext2D, scene: ChartScene): void {
  const { axes, palette } = scene;
  const order = [...scene.traces].sort(
    (a, b) => Number(a.errorCount > 0) - Number(b.errorCount > 0),
  );
  for (const trace of order) {
    const x = toX(axes, unixMs(trace.startTimeUnixNano));
    const y = toY(axes, trace.durationNano);
    const failed = trace.errorCount > 0;
    ctx.globalAlpha = scene.isInside(trace) ? (failed ? 1 : 0.7) : 0.15;
    ctx.beginPath();
    if (failed) {
      ctx.strokeStyle = palette.error;
      ctx.lineWidth = 1.8;
      for (const s of [-1, 1]) {
        ctx.moveTo(x - 3.2, y - 3.2 * s);
        ctx.lineTo(x + 3.2, y + 3.2 * s);
      }
      ctx.stroke();
    } else {
      ctx.fillStyle = scene.color(trace.rootService);
      ctx.arc(x, y, 3, 0, Math.PI * 2);
      ctx.fill();
    }
  }
  ctx.globalAlpha = 1;
  const { hovered } = scene;
  if (!hovered) return;
  ctx.strokeStyle = palette.ink;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.arc(
    toX(axes, unixMs(hovered.startTimeUnixNano)),
    toY(axes, hovered.durationNano),
    6,
    0,
    Math.PI * 2,
  );
  ctx.stroke();
}
