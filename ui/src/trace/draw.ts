/** Draws the rows of the waterfall that are in view, and the minimap. Keeps no state. */

import type { Stroke } from "../journey/say";
import { formatCount, formatDuration } from "../model/units";
import type { Palette } from "../shared/palette";
import type { Stretch } from "./critical-path";
import { type Bar, bar, caretX, type Frame, labelPlace, ROW, timeX } from "./geometry";
import type { RowJoin } from "./row-joins";
import {
  at,
  durationOf,
  isError,
  isPlaceholder,
  KIND,
  nameOf,
  serviceOf,
  type TraceTree,
} from "./tree";

export interface Scene {
  readonly tree: TraceTree;
  readonly rows: Int32Array;
  readonly open: Uint8Array;
  readonly selected: number;
  readonly hovered: number;
  readonly hits: ReadonlySet<number>;
  /** The stretches of each row on the critical path; `null` when they are not shown. */
  readonly critical: ReadonlyMap<number, readonly Stretch[]> | null;
  readonly ticks: readonly number[];
  readonly palette: Palette;
  readonly color: (service: string) => string;
  /** The messages that a row sent or took. */
  readonly joins: ReadonlyMap<number, RowJoin>;
  /** What the chip of such a row says. */
  readonly sayJoin: (join: RowJoin) => string;
  /** What is said of a row whose span was not received. */
  readonly missing: (row: number) => string;
}

const FONT = '"Inter Variable", system-ui, sans-serif';
const BODY = `450 12.5px ${FONT}`;
const STRONG = `640 12.5px ${FONT}`;
const SMALL = `500 12px ${FONT}`;
const CHIP = `560 11px ${FONT}`;
const BAR_HEIGHT = 14;

/** Draws rows `first .. last` as seen with the list scrolled to `scrollTop`. */
export function drawRows(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  frame: Frame,
  height: number,
  scrollTop: number,
  first: number,
  last: number,
): void {
  const { palette } = scene;
  ctx.fillStyle = palette.surface;
  ctx.fillRect(0, 0, frame.width, height);
  for (let i = first; i < last; i++)
    tintRow(ctx, scene, at(scene.rows, i), frame, i * ROW - scrollTop);
  drawGrid(ctx, scene, frame, height);
  ctx.textBaseline = "middle";
  for (let i = first; i < last; i++) {
    const row = at(scene.rows, i);
    const y = i * ROW - scrollTop;
    if (frame.names > 0) drawName(ctx, scene, row, frame, y);
    drawBar(ctx, scene, row, frame, y);
  }
}

function tintRow(
  ctx: CanvasRenderingContext2D,
  { tree, selected, hovered, hits, palette }: Scene,
  row: number,
  frame: Frame,
  y: number,
): void {
  const tint =
    row === selected
      ? palette["accent-bg"]
      : hits.has(row)
        ? palette["warn-bg"]
        : isError(tree, row)
          ? palette["error-bg"]
          : row === hovered
            ? palette.sunken
            : null;
  if (!tint) return;
  ctx.fillStyle = tint;
  ctx.fillRect(0, y, frame.width, ROW);
}

function drawGrid(ctx: CanvasRenderingContext2D, scene: Scene, frame: Frame, height: number): void {
  ctx.fillStyle = scene.palette.line;
  for (const tick of scene.ticks) {
    const x = Math.round(timeX(frame, scene.tree.total, tick));
    if (x > frame.names) ctx.fillRect(x, 0, 1, height);
  }
  if (frame.names === 0) return;
  ctx.fillStyle = scene.palette.line2;
  ctx.fillRect(frame.names, 0, 1, height);
}

function drawName(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  row: number,
  frame: Frame,
  y: number,
): void {
  const { tree, palette } = scene;
  const middle = y + ROW / 2;
  const depth = at(tree.depth, row) - frame.depth;
  const x = caretX(depth);
  drawGuides(ctx, scene, row, depth, y);
  const size = at(tree.size, row);
  if (size > 1) drawCaret(ctx, x, middle, scene.open[row] === 1, palette.ink2);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, y, frame.names - 6, ROW);
  ctx.clip();
  let left = x + 11;
  if (isPlaceholder(tree, row)) {
    ctx.font = BODY;
    ctx.fillStyle = palette.warn;
    ctx.textAlign = "left";
    ctx.fillText(shorten(ctx, scene.missing(row), frame.names - 8 - left), left, middle);
    ctx.restore();
    return;
  }
  const service = serviceOf(tree, row);
  ctx.fillStyle = scene.color(service);
  roundRect(ctx, left, middle - 4.5, 9, 9, 3);
  ctx.fill();
  left += 15;
  ctx.textAlign = "left";
  ctx.fillStyle = isError(tree, row) ? palette.error : palette.ink;
  const up = at(tree.parent, row);
  if (up < 0 || isPlaceholder(tree, up) || serviceOf(tree, up) !== service) {
    ctx.font = STRONG;
    ctx.fillText(service, left, middle);
    left += ctx.measureText(service).width + 7;
  }
  const hidden = scene.open[row] || size === 1 ? "" : `+${formatCount(size - 1)}`;
  ctx.font = SMALL;
  const reserve = hidden ? ctx.measureText(hidden).width + 12 : 0;
  ctx.font = BODY;
  if (!isError(tree, row)) ctx.fillStyle = palette.ink2;
  const name = shorten(ctx, nameOf(tree, row), frame.names - 8 - left - reserve);
  ctx.fillText(name, left, middle);
  if (hidden) {
    left += ctx.measureText(name).width + 7;
    ctx.font = SMALL;
    ctx.fillStyle = palette.ink3;
    ctx.fillText(hidden, left, middle);
  }
  ctx.restore();
}

/** Lines from parents to their children: the row's own elbow, and a line for each that goes on. */
function drawGuides(
  ctx: CanvasRenderingContext2D,
  { tree, palette }: Scene,
  row: number,
  depth: number,
  y: number,
): void {
  if (depth <= 0) return;
  ctx.fillStyle = palette.line2;
  for (let up = row, level = depth; level > 0; level--) {
    const goesOn = at(tree.last, up) === 0;
    if (level === depth) ctx.fillRect(caretX(level - 1), y, 1, goesOn ? ROW : ROW / 2);
    else if (goesOn) ctx.fillRect(caretX(level - 1), y, 1, ROW);
    up = at(tree.parent, up);
  }
  const x = caretX(depth - 1);
  const reach = caretX(depth) - x + (at(tree.size, row) > 1 ? -6 : 6);
  if (reach > 0) ctx.fillRect(x, y + ROW / 2, reach, 1);
}

function drawCaret(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  open: boolean,
  color: string,
): void {
  ctx.fillStyle = color;
  ctx.beginPath();
  if (open) {
    ctx.moveTo(x - 4, y - 2.5);
    ctx.lineTo(x + 4, y - 2.5);
    ctx.lineTo(x, y + 3);
  } else {
    ctx.moveTo(x - 2, y - 4);
    ctx.lineTo(x + 3.5, y);
    ctx.lineTo(x - 2, y + 4);
  }
  ctx.fill();
}

function drawBar(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  row: number,
  frame: Frame,
  y: number,
): void {
  const { tree, palette } = scene;
  const place = bar(frame, tree, row);
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.names + 1, y, frame.width - frame.names, ROW);
  ctx.clip();
  if (place.shown) {
    const top = y + (ROW - BAR_HEIGHT) / 2;
    paintBar(ctx, scene, row, place, top);
    for (const { from, to } of scene.critical?.get(row) ?? []) {
      const a = timeX(frame, tree.total, from);
      const b = timeX(frame, tree.total, to);
      ctx.fillStyle = palette.ink;
      ctx.fillRect(a, top + BAR_HEIGHT + 2, Math.max(1.5, b - a), 2);
    }
    drawEvents(ctx, scene, row, frame, top + BAR_HEIGHT / 2);
  }
  drawLabel(ctx, scene, row, frame, place, y + ROW / 2);
  ctx.restore();
}

function paintBar(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  row: number,
  { x, width }: Bar,
  top: number,
): void {
  const { tree, palette } = scene;
  roundRect(ctx, x, top, width, BAR_HEIGHT, Math.min(4, width / 2));
  if (isPlaceholder(tree, row)) {
    ctx.setLineDash([4, 3]);
    ctx.strokeStyle = palette.warn;
    ctx.stroke();
    ctx.setLineDash([]);
    return;
  }
  const color = scene.color(serviceOf(tree, row));
  const isAsync = tree.view.spans.kind[row] === KIND.producer;
  ctx.fillStyle = color;
  ctx.globalAlpha = isAsync || tree.view.spans.duration[row] === null ? 0.45 : 1;
  ctx.fill();
  ctx.globalAlpha = 1;
  if (isAsync) {
    ctx.setLineDash([3, 2.5]);
    ctx.strokeStyle = palette.async;
    ctx.lineWidth = 1.2;
    ctx.stroke();
    ctx.setLineDash([]);
  }
  if (isError(tree, row)) {
    roundRect(ctx, x - 1.5, top - 1.5, width + 3, BAR_HEIGHT + 3, Math.min(5, width / 2 + 1.5));
    ctx.strokeStyle = palette.error;
    ctx.lineWidth = 2;
    ctx.stroke();
  }
}

function drawEvents(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  row: number,
  frame: Frame,
  y: number,
): void {
  const offsets = scene.tree.events.get(row);
  if (!offsets) return;
  ctx.fillStyle = "#fff";
  ctx.strokeStyle = "#111827";
  ctx.lineWidth = 1.3;
  for (const offset of offsets) {
    const x = timeX(frame, scene.tree.total, offset);
    ctx.beginPath();
    ctx.moveTo(x, y - 4);
    ctx.lineTo(x + 4, y);
    ctx.lineTo(x, y + 4);
    ctx.lineTo(x - 4, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
}

function drawLabel(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  row: number,
  frame: Frame,
  place: Bar,
  y: number,
): void {
  const { tree, palette } = scene;
  ctx.font = SMALL;
  ctx.textBaseline = "middle";
  if (!place.shown) {
    ctx.fillStyle = palette.ink3;
    const before = place.x <= frame.names;
    ctx.textAlign = before ? "left" : "right";
    ctx.fillText(before ? "‹" : "›", before ? frame.names + 6 : frame.width - 6, y);
    return;
  }
  if (isPlaceholder(tree, row)) return;
  const text = labelText(ctx, scene, row, frame, place);
  const label = labelPlace(frame, place, ctx.measureText(text).width);
  ctx.textAlign = label.align;
  if (label.inside) {
    const width = ctx.measureText(text).width + 10;
    ctx.fillStyle = palette.surface;
    roundRect(ctx, label.x - width + 5, y - 6.5, width, 13, 4);
    ctx.fill();
  }
  ctx.fillStyle = isError(tree, row) ? palette.error : palette.ink2;
  ctx.fillText(text, label.x, y);
  const join = scene.joins.get(row);
  if (join) drawJoin(ctx, scene, join, frame, place, label, ctx.measureText(text).width, y);
}

/** The duration; where names have no column, also what it is, as far as there is room. */
function labelText(
  ctx: CanvasRenderingContext2D,
  { tree }: Scene,
  row: number,
  frame: Frame,
  place: Bar,
): string {
  const duration = formatDuration(durationOf(tree, row));
  if (frame.names > 0) return duration;
  const after = frame.width - (place.x + place.width) - 14;
  const room =
    Math.max(after, place.x - 14, place.width - 34, 90) - ctx.measureText(`${duration}  `).width;
  return `${duration}  ${shorten(ctx, `${serviceOf(tree, row)} ${nameOf(tree, row)}`, room)}`;
}

const DASHES: Readonly<Record<Stroke, readonly number[]>> = {
  solid: [],
  dashed: [4, 3],
  dotted: [1.5, 2.5],
};

/** A chip that says by what a message of the row is known: beside the bar, left out without room. */
function drawJoin(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  join: RowJoin,
  frame: Frame,
  place: Bar,
  label: { x: number; align: "left" | "right"; inside: boolean },
  labelWidth: number,
  y: number,
): void {
  const { palette } = scene;
  ctx.font = CHIP;
  const text = scene.sayJoin(join);
  const width = ctx.measureText(text).width + 16;
  const afterLabel = label.align === "left" ? label.x + labelWidth : place.x + place.width;
  const beforeLabel = label.align === "right" && !label.inside ? label.x - labelWidth : place.x;
  let x = afterLabel + 10;
  if (x + width > frame.width - 4) x = beforeLabel - 10 - width;
  // A bar that fills the row leaves room only on itself, before its label.
  if (x < frame.names + 4 && label.inside) x = label.x - labelWidth - 18 - width;
  if (x < frame.names + 4 || (label.inside && x < place.x)) return;
  const color = join.stroke === "solid" ? palette.async : palette.warn;
  roundRect(ctx, x, y - 9, width, 18, 9);
  ctx.fillStyle = palette.surface;
  ctx.fill();
  ctx.setLineDash([...DASHES[join.stroke]]);
  ctx.lineWidth = 1.3;
  ctx.strokeStyle = color;
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.fillStyle = color;
  ctx.textAlign = "left";
  ctx.fillText(text, x + 8, y + 0.5);
}

export function roundRect(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  radius: number,
): void {
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, radius);
}

/** The text, shortened to fit by an ellipsis. */
function shorten(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (width <= 0) return "";
  if (ctx.measureText(text).width <= width) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ctx.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}
