/** The whole trace in a strip: every span as a thin line at its depth. Pure but for the drawing. */
import type { Palette } from "../shared/palette";
import { at, type TraceTree } from "./tree";

const LEVEL_MAX = 7;
const LEVEL_MIN = 3;
const TOP = 9;
const BOTTOM = 5;
/** Steps of time in a pixel: a bar's end may stand between two pixels of a fine screen. */
const STEPS = 2;

/** A line of one service at one depth, in steps. */
export interface MinimapLine {
  level: number;
  from: number;
  to: number;
  /** Where the service stands in the trace's list of them. */
  service: number;
}

/**
 * What is seen when all spans are drawn one over the other: the last of them in each cell of `levels`
 * times `steps`, neighbours of one service as one line. A span has at least one cell; those that are
 * deeper than `levels` share the last. As many lines as there is room for, however many the spans.
 */
export function minimapLines(tree: TraceTree, steps: number, levels: number): MinimapLine[] {
  // 0 is nobody, so services count from 1.
  const cells = new Int32Array(levels * steps);
  for (let row = 0; row < tree.spanCount; row++) {
    const from = Math.min(
      steps - 1,
      Math.max(0, Math.floor((at(tree.start, row) / tree.total) * steps)),
    );
    const to = Math.max(from + 1, Math.ceil((at(tree.end, row) / tree.total) * steps));
    const level = Math.min(levels - 1, at(tree.depth, row)) * steps;
    cells.fill((tree.view.spans.service[row] ?? 0) + 1, level + from, level + Math.min(steps, to));
  }
  const lines: MinimapLine[] = [];
  for (let level = 0; level < levels; level++) {
    let from = 0;
    for (let step = 1; step <= steps; step++) {
      const cell = at(cells, level * steps + from);
      if (step < steps && at(cells, level * steps + step) === cell) continue;
      if (cell > 0) lines.push({ level, from, to: step, service: cell - 1 });
      from = step;
    }
  }
  return lines;
}

export function drawMinimap(
  ctx: CanvasRenderingContext2D,
  tree: TraceTree,
  width: number,
  height: number,
  palette: Palette,
  color: (service: string) => string,
): void {
  ctx.fillStyle = palette.sunken;
  ctx.fillRect(0, 0, width, height);
  const colors = tree.view.services.map(color);
  const deepest = tree.depth.reduce((most, depth) => Math.max(most, depth), 0);
  const room = height - TOP - BOTTOM;
  const thickness = Math.min(LEVEL_MAX, Math.max(LEVEL_MIN, room / (deepest + 1)));
  for (const line of minimapLines(tree, Math.ceil(width * STEPS), Math.floor(room / thickness))) {
    ctx.fillStyle = colors[line.service] ?? palette.ink3;
    ctx.fillRect(
      line.from / STEPS,
      TOP + line.level * thickness,
      (line.to - line.from) / STEPS,
      thickness - 1,
    );
  }
}
