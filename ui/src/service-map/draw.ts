/** Draws bands and edges under the cards. Keeps no state. */
import type { MapEdge } from "../api/types";
import type { Palette } from "../shared/palette";
import { type BandBox, overlap, type Rect } from "./boxes";
import type { Change } from "./changes";
import { health, isGuess, isMessage } from "./graph";
import type { Point } from "./routes";
import type { View } from "./view";

export interface DrawnEdge {
  readonly edge: MapEdge;
  readonly path: readonly Point[];
  /** Length of the path up to each point. */
  readonly reached: readonly number[];
}

/** One particle takes this long from end to end. */
const FLIGHT_MS = 2_600;

export function measure(edge: MapEdge, path: readonly Point[]): DrawnEdge {
  const reached = [0];
  for (let i = 1; i < path.length; i++) {
    const [a, b] = [path[i - 1] as Point, path[i] as Point];
    reached.push((reached[i - 1] ?? 0) + Math.hypot(b.x - a.x, b.y - a.y));
  }
  return { edge, path, reached };
}

/** What a picture of the map is made of. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly view: View;
  readonly bands: readonly BandBox[];
  readonly edges: readonly DrawnEdge[];
  /** Edges that do not join two of these nodes are dimmed; `null` dims none. */
  readonly kept: ReadonlySet<string> | null;
  /** The edge that the pointer or the panel is about. */
  readonly strong: MapEdge | null;
  /** Cards that nothing may be written across. */
  readonly cards: readonly Rect[];
  /** Whether an edge came or went since the time that the map is compared with. */
  readonly changeOf: (edge: MapEdge) => Change | null;
  /** What is written on an edge, if anything. */
  readonly label: (edge: MapEdge) => string | null;
  /** How many requests the busiest edge has. */
  readonly busiest: number;
  readonly palette: Palette;
}

/** Draws all that stands still: bands and edges. */
export function drawMap(ctx: CanvasRenderingContext2D, picture: Picture): void {
  const { view, bands, edges, busiest, palette } = picture;
  ctx.clearRect(0, 0, picture.width, picture.height);
  drawDots(ctx, picture, view, palette);
  ctx.save();
  ctx.translate(view.x, view.y);
  ctx.scale(view.k, view.k);
  for (const band of bands) {
    ctx.beginPath();
    ctx.roundRect(band.x, band.y, band.width, band.height, 22);
    ctx.fillStyle = palette.band;
    ctx.fill();
    ctx.lineWidth = 1 / view.k;
    ctx.strokeStyle = palette.line;
    ctx.stroke();
  }
  const order = ({ edge }: DrawnEdge) => (isKept(picture, edge) ? 10 : 0) + RANK[health(edge)];
  for (const drawn of [...edges].sort((a, b) => order(a) - order(b))) {
    ctx.globalAlpha = isKept(picture, drawn.edge) ? 1 : 0.13;
    const change = picture.changeOf(drawn.edge);
    if (change === "gone") ctx.globalAlpha *= 0.75;
    const strong = drawn.edge === picture.strong || change === "new";
    drawEdge(ctx, drawn, busiest, view.k, palette, strong, change);
  }
  ctx.globalAlpha = 1;
  ctx.restore();
  const written: Rect[] = [];
  for (const drawn of edges) {
    const text = isKept(picture, drawn.edge) ? picture.label(drawn.edge) : null;
    if (text) drawLabel(ctx, drawn, text, picture, written);
  }
}

/** Numbers on a plate, as near to the middle of the edge as no card or other plate is in the way. */
function drawLabel(
  ctx: CanvasRenderingContext2D,
  drawn: DrawnEdge,
  text: string,
  { view, palette, cards, changeOf }: Picture,
  written: Rect[],
): void {
  const change = changeOf(drawn.edge);
  ctx.font = '560 11.5px "Inter Variable", system-ui, sans-serif';
  const width = ctx.measureText(text).width + 14;
  const total = drawn.reached.at(-1) ?? 0;
  // A plate that is longer than its edge would lie under the cards.
  if (total * view.k < width + 12) return;
  const plates = [0.5, 0.58, 0.42, 0.66, 0.34, 0.74, 0.26, 0.82, 0.18].map((share): Rect => {
    const p = pointAt(drawn, total * share);
    return {
      x: p.x * view.k + view.x - width / 2,
      y: p.y * view.k + view.y - 10,
      width,
      height: 20,
    };
  });
  const onScreen = cards.map(
    (c): Rect => ({
      x: c.x * view.k + view.x,
      y: c.y * view.k + view.y,
      width: c.width * view.k,
      height: c.height * view.k,
    }),
  );
  const plate = plates.find((p) => ![...written, ...onScreen].some((r) => overlap(p, r, 2)));
  if (!plate) return;
  written.push(plate);
  ctx.fillStyle = palette.surface;
  ctx.strokeStyle = edgeColor(drawn.edge, palette, change);
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.roundRect(plate.x, plate.y, plate.width, plate.height, 10);
  ctx.fill();
  ctx.stroke();
  ctx.fillStyle = health(drawn.edge) === "error" ? palette.error : palette.ink;
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  ctx.fillText(text, plate.x + width / 2, plate.y + 10.5);
}

/** The edge under a point of the screen; dimmed ones do not count. */
export function edgeAt(
  edges: readonly DrawnEdge[],
  view: View,
  x: number,
  y: number,
  kept: ReadonlySet<string> | null,
): MapEdge | null {
  const near = 6 / view.k;
  const at = { x: (x - view.x) / view.k, y: (y - view.y) / view.k };
  let best: { edge: MapEdge; far: number } | null = null;
  for (const { edge, path } of edges) {
    if (kept && !(kept.has(edge.from) && kept.has(edge.to))) continue;
    for (let i = 1; i < path.length; i++) {
      const far = distance(at, path[i - 1] as Point, path[i] as Point);
      if (far < near && (!best || far < best.far)) best = { edge, far };
    }
  }
  return best?.edge ?? null;
}

/** From a point to a straight line between two others. */
function distance(p: Point, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const share =
    length === 0 ? 0 : Math.min(1, Math.max(0, ((p.x - a.x) * dx + (p.y - a.y) * dy) / length));
  return Math.hypot(p.x - a.x - share * dx, p.y - a.y - share * dy);
}

/** Draws what moves, on a canvas of its own: particles along the messages. */
export function drawMotion(ctx: CanvasRenderingContext2D, picture: Picture, timeMs: number): void {
  const { view, edges, busiest, palette } = picture;
  ctx.clearRect(0, 0, picture.width, picture.height);
  ctx.save();
  ctx.translate(view.x, view.y);
  ctx.scale(view.k, view.k);
  for (const drawn of edges) {
    const moves = drawn.edge.kind === "async" && picture.changeOf(drawn.edge) !== "gone";
    if (moves && isKept(picture, drawn.edge)) {
      drawParticles(ctx, drawn, busiest, palette, timeMs);
    }
  }
  ctx.restore();
}

const isKept = ({ kept }: Picture, edge: MapEdge) =>
  kept === null || (kept.has(edge.from) && kept.has(edge.to));

const RANK = { ok: 0, warn: 1, error: 2 } as const;

function drawDots(
  ctx: CanvasRenderingContext2D,
  { width, height }: { width: number; height: number },
  view: View,
  palette: Palette,
): void {
  const gap = 26 * (view.k < 0.5 ? 2 * view.k : view.k);
  ctx.fillStyle = palette.line;
  const startX = ((view.x % gap) + gap) % gap;
  const startY = ((view.y % gap) + gap) % gap;
  for (let x = startX; x < width; x += gap) {
    for (let y = startY; y < height; y += gap) ctx.fillRect(x, y, 1.2, 1.2);
  }
}

/** Width says the rate: a step thinner than the busiest edge for each power of ten. */
function edgeWidth({ requests }: MapEdge, busiest: number): number {
  return Math.max(1.2, 3.2 - 0.9 * Math.log10(Math.max(1, busiest) / Math.max(1, requests)));
}

function edgeColor(edge: MapEdge, palette: Palette, change: Change | null = null): string {
  if (change !== null) return change === "new" ? palette.accent : palette.ink3;
  const state = health(edge);
  if (state === "error") return palette.error;
  if (state === "warn") return palette.warn;
  if (isGuess(edge) && edge.kind === "async") return palette.warn;
  return edge.kind === "async" || isMessage(edge) ? palette.async : palette.edge;
}

function drawEdge(
  ctx: CanvasRenderingContext2D,
  { edge, path }: DrawnEdge,
  busiest: number,
  scale: number,
  palette: Palette,
  strong: boolean,
  change: Change | null,
): void {
  const end = path.at(-1);
  const first = path[0];
  if (!end || !first) return;
  const width = Math.max(edgeWidth(edge, busiest), 0.9 / scale) + (strong ? 2 : 0);
  ctx.strokeStyle = edgeColor(edge, palette, change);
  ctx.fillStyle = ctx.strokeStyle;
  ctx.lineWidth = width;
  const dashed = edge.kind === "async" || isMessage(edge);
  // What is gone is the trace of a line: shorter strokes than any message has.
  const dash = change === "gone" ? [2, 5] : isGuess(edge) ? [2.5, 4] : [6, 4.5];
  ctx.setLineDash(dashed || change === "gone" ? dash : []);
  ctx.beginPath();
  ctx.moveTo(first.x, first.y);
  for (const p of path) ctx.lineTo(Math.min(p.x, end.x === p.x ? p.x - 5 : p.x), p.y);
  ctx.stroke();
  ctx.setLineDash([]);
  const head = 4.5 + width * 0.6;
  ctx.beginPath();
  ctx.moveTo(end.x - 1, end.y);
  ctx.lineTo(end.x - 1 - head * 1.35, end.y - head * 0.72);
  ctx.lineTo(end.x - 1 - head * 1.35, end.y + head * 0.72);
  ctx.fill();
}

function drawParticles(
  ctx: CanvasRenderingContext2D,
  drawn: DrawnEdge,
  busiest: number,
  palette: Palette,
  timeMs: number,
): void {
  const total = drawn.reached.at(-1) ?? 0;
  if (total === 0) return;
  const count = Math.max(1, Math.min(4, Math.round(total / 260)));
  const radius = 1.6 + edgeWidth(drawn.edge, busiest) * 0.55;
  ctx.fillStyle = edgeColor(drawn.edge, palette);
  for (let n = 0; n < count; n++) {
    const p = pointAt(drawn, total * ((timeMs / FLIGHT_MS + n / count) % 1));
    ctx.beginPath();
    ctx.arc(p.x, p.y, radius, 0, Math.PI * 2);
    ctx.fill();
  }
}

/** The point `length` along the path. */
export function pointAt({ path, reached }: DrawnEdge, length: number): Point {
  let low = 1;
  let high = path.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((reached[middle] ?? 0) < length) low = middle + 1;
    else high = middle;
  }
  const [a, b] = [path[low - 1], path[low]];
  if (!a || !b) return path[0] ?? { x: 0, y: 0 };
  const from = reached[low - 1] ?? 0;
  const share = (length - from) / Math.max(1e-6, (reached[low] ?? 0) - from);
  return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share };
}
