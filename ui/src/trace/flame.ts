/** The flame view: time to the right, calls downwards, what runs at once in lanes of its own. */
import type { Palette } from "../shared/palette";
import { at, isError, isPlaceholder, nameOf, orderOf, serviceOf, type TraceTree } from "./tree";

export const LANE = 20;
const GAP = 1;
const LABEL_WIDTH_MIN = 48;
const FONT = '"Inter Variable", system-ui, sans-serif';

export interface Lanes {
  /** The rows that are shown, in the order of the tree. */
  readonly rows: Int32Array;
  /** The lane of each row of the tree; -1 when it is not shown. */
  readonly lane: Int32Array;
  readonly count: number;
}

/** Gives each span the first lane beneath its parent's in which nothing else runs at its time. */
export function packLanes(tree: TraceTree, top = -1): Lanes {
  const first = top < 0 ? 0 : orderOf(tree, top);
  const rows = tree.preorder.subarray(first, top < 0 ? undefined : first + at(tree.size, top));
  const lane = new Int32Array(tree.rowCount).fill(-1);
  const busyUntil: number[] = [];
  for (const row of rows) {
    const up = at(tree.parent, row);
    let here = up >= 0 && row !== top ? at(lane, up) + 1 : 0;
    while ((busyUntil[here] ?? Number.NEGATIVE_INFINITY) > at(tree.start, row)) here += 1;
    lane[row] = here;
    busyUntil[here] = Math.max(busyUntil[here] ?? 0, at(tree.end, row));
  }
  return { rows, lane, count: busyUntil.length };
}

export interface FlameScene {
  readonly tree: TraceTree;
  readonly lanes: Lanes;
  readonly zoom: readonly [number, number];
  readonly selected: number;
  readonly hovered: number;
  readonly hits: ReadonlySet<number>;
  readonly palette: Palette;
  readonly color: (service: string) => string;
}

/** The stretch of a row on the screen, in pixels. */
export function flameBar({ tree, zoom }: FlameScene, row: number, width: number) {
  const scale = width / (tree.total * (zoom[1] - zoom[0]));
  const x = (at(tree.start, row) - tree.total * zoom[0]) * scale;
  return { x, width: Math.max(1, (at(tree.end, row) - at(tree.start, row)) * scale) };
}

/** Draws the lanes that are in view with the list scrolled to `scrollTop`. */
export function drawFlame(
  ctx: CanvasRenderingContext2D,
  scene: FlameScene,
  width: number,
  height: number,
  scrollTop: number,
): void {
  const { tree, lanes, palette } = scene;
  ctx.fillStyle = palette.surface;
  ctx.fillRect(0, 0, width, height);
  ctx.font = `560 11.5px ${FONT}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const colors = tree.view.services.map(scene.color);
  const drawnTo = new Float64Array(lanes.count).fill(-1);
  const isSearching = scene.hits.size > 0;
  for (const row of lanes.rows) {
    const lane = at(lanes.lane, row);
    const y = lane * LANE - scrollTop;
    if (y + LANE < 0 || y > height) continue;
    const { x, width: w } = flameBar(scene, row, width);
    if (x > width || x + w < 0) continue;
    // What would land on the same pixel as its neighbour is not drawn again, unless it failed.
    if (x + w <= at(drawnTo, lane) + 0.5 && !isError(tree, row)) continue;
    drawnTo[lane] = x + w;
    const left = Math.max(0, x);
    const shown = Math.min(width, x + w) - left;
    ctx.globalAlpha = isSearching && !scene.hits.has(row) ? 0.25 : 1;
    if (isPlaceholder(tree, row)) ctx.fillStyle = palette["warn-bg"];
    else ctx.fillStyle = colors[tree.view.spans.service[row] ?? 0] ?? palette.ink3;
    ctx.fillRect(left, y + GAP, Math.max(0.8, shown - (shown > 3 ? GAP : 0)), LANE - 2 * GAP);
    if (isError(tree, row)) {
      ctx.fillStyle = palette.error;
      ctx.fillRect(left, y + LANE - GAP - 3, Math.max(1.5, shown - GAP), 3);
    }
    if (shown > LABEL_WIDTH_MIN) drawLabel(ctx, scene, row, left, y, shown);
    ctx.globalAlpha = 1;
    if (row === scene.selected || row === scene.hovered) {
      ctx.strokeStyle = row === scene.selected ? palette.ink : palette.ink3;
      ctx.lineWidth = 2;
      ctx.strokeRect(left + 1, y + 1, Math.max(2, shown - 2), LANE - 2);
    }
  }
}

/** The name on a plate of the page's own colour, so that it is read on bars of any hue. */
function drawLabel(
  ctx: CanvasRenderingContext2D,
  scene: FlameScene,
  row: number,
  left: number,
  y: number,
  width: number,
): void {
  const { tree, palette } = scene;
  const up = at(tree.parent, row);
  const changes = up < 0 || serviceOf(tree, up) !== serviceOf(tree, row);
  const name = nameOf(tree, row);
  const text = changes ? `${serviceOf(tree, row)}  ${name}` : name;
  const room = width - 12;
  const full = ctx.measureText(text).width;
  const fits = Math.min(full, room);
  ctx.fillStyle = palette.surface;
  ctx.globalAlpha *= 0.9;
  ctx.beginPath();
  ctx.roundRect(left + 3, y + 3.5, fits + 7, LANE - 7, 3);
  ctx.fill();
  ctx.save();
  ctx.beginPath();
  ctx.rect(left + 5, y, fits + 3, LANE);
  ctx.clip();
  ctx.fillStyle = isError(tree, row) ? palette.error : palette.ink;
  ctx.fillText(text, left + 6.5, y + LANE / 2 + 0.5);
  ctx.restore();
}

/** The row under a point, or -1. */
export function rowUnder(scene: FlameScene, width: number, x: number, y: number): number {
  const lane = Math.floor(y / LANE);
  let found = -1;
  for (const row of scene.lanes.rows) {
    if (at(scene.lanes.lane, row) !== lane) continue;
    const place = flameBar(scene, row, width);
    if (place.x - 1 <= x && x <= place.x + place.width + 1) found = row;
  }
  return found;
}
