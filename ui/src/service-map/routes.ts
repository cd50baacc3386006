/**
 * The way of each edge, as points to be joined by straight lines. Pure.
 *
 * A call to the right is a curve; where cards are in between it takes a free lane above or beneath
 * them. Everything else runs at right angles: out to the right, along a lane, in from the left. What
 * one card sends to the other band runs as one line until it must part, and what reaches one card from
 * there comes in as one.
 */
import type { MapEdge } from "../api/types";
import { type BandBox, type Layout, PILL_HEIGHT, type Place, type Rect } from "./boxes";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How far an edge keeps from a card that it passes. */
const CLEAR = 7;
/** How far edges in the same lane keep from each other. */
const LANE = 6;

/** One path per edge, in the same order; `[]` when an end is not drawn. */
export function routeEdges(edges: readonly MapEdge[], layout: Layout): Point[][] {
  const places = new Map(layout.places.map((p) => [p.id, p]));
  const crosses = ({ from, to }: MapEdge) => places.get(from)?.band !== places.get(to)?.band;
  const ports = choosePorts(edges, places, crosses);
  const trunks = new Map<string, { x: number; y: number }>();
  const arrivals = new Map<string, number>();
  const lanes: { from: number; to: number; at: number; vertical: boolean }[] = [];
  const taken = (from: number, to: number, at: number, vertical: boolean) =>
    lanes.some(
      (l) =>
        l.vertical === vertical && Math.abs(l.at - at) < LANE - 0.5 && l.from < to && from < l.to,
    );
  const take = (from: number, to: number, at: number, vertical: boolean) =>
    lanes.push({ from: Math.min(from, to), to: Math.max(from, to), at, vertical });

  /** The free x nearest to `wish` in direction `step` for a vertical line. */
  const track = (
    wish: number,
    step: number,
    y1: number,
    y2: number,
    skip: readonly Place[],
  ): number => {
    const [a, b] = [Math.min(y1, y2), Math.max(y1, y2)];
    for (let i = 0; i < 36; i++) {
      const x = wish + i * step * LANE;
      const rect = { x: x - 2, y: a, width: 4, height: b - a };
      if (!taken(a, b, x, true) && !hits(rect, layout.places, skip)) {
        take(a, b, x, true);
        return x;
      }
    }
    return wish;
  };

  /** The free y for a horizontal line that makes the shortest way. */
  const lane = (x1: number, x2: number, y1: number, y2: number, skip: readonly Place[]): number => {
    const [a, b] = [Math.min(x1, x2), Math.max(x1, x2)];
    const candidates = [y1, y2, (y1 + y2) / 2];
    for (const p of layout.places) {
      if (p.x > b || p.x + p.width < a) continue;
      for (let k = 0; k < 3; k++) {
        candidates.push(p.y - CLEAR - 3 - k * LANE, p.y + p.height + CLEAR + 3 + k * LANE);
      }
    }
    const cost = (y: number) => Math.abs(y - y1) + Math.abs(y - y2);
    candidates.sort((p, q) => cost(p) - cost(q) || p - q);
    const free = candidates.find(
      (y) =>
        !taken(a, b, y, false) &&
        !hits({ x: a, y: y - CLEAR + 2, width: b - a, height: 2 * CLEAR - 4 }, layout.places, skip),
    );
    const y = free ?? (y1 + y2) / 2;
    take(a, b, y, false);
    return y;
  };

  return edges.map((edge, i) => {
    const from = places.get(edge.from);
    const to = places.get(edge.to);
    const port = ports[i];
    if (!from || !to || !port) return [];
    const start = { x: from.x + from.width, y: port.start };
    const end = { x: to.x, y: port.end };
    const skip = [from, to];
    if (from.band !== to.band) return acrossBands(start, end, from, to);
    if (end.x < start.x + 36) return around(start, end, skip);
    const direct = curve(start, end);
    if (!hitsPath(direct, layout.places, skip)) return direct;
    const x1 = start.x + 40;
    const x2 = end.x - 40;
    if (x2 <= x1) return direct;
    const y = lane(x1, x2, start.y, end.y, skip);
    return [...curve(start, { x: x1, y }), ...curve({ x: x2, y }, end)];
  });

  function around(start: Point, end: Point, skip: readonly Place[]): Point[] {
    const y = lane(end.x - 16, start.x + 16, start.y, end.y, skip);
    const right = track(start.x + 14, 1, start.y, y, skip);
    const left = track(end.x - 16, -1, y, end.y, skip);
    return rounded([
      start,
      { x: right, y: start.y },
      { x: right, y },
      { x: left, y },
      { x: left, y: end.y },
      end,
    ]);
  }

  function acrossBands(start: Point, end: Point, from: Place, to: Place): Point[] {
    const middle = gapBetween(layout.bands);
    const left = arrivals.get(to.id) ?? track(end.x - 18, -1, middle, end.y, [to]);
    arrivals.set(to.id, left);
    let trunk = trunks.get(from.id);
    if (!trunk) {
      const x = track(start.x + 16, 1, start.y, middle, [from]);
      // From where it comes down to the furthest card it goes to.
      const own = edges.filter((e) => e.from === from.id && crosses(e));
      const stops = [x, ...own.map((e) => (places.get(e.to)?.x ?? x) - 18 - LANE)];
      const ends = [Math.min(...stops), Math.max(...stops)] as const;
      let y = middle;
      for (let i = 0; i < 9 && taken(...ends, y, false); i++) {
        y = middle + (i % 2 ? -1 : 1) * Math.ceil((i + 1) / 2) * LANE;
      }
      take(...ends, y, false);
      trunk = { x, y };
      trunks.set(from.id, trunk);
    }
    const { x: right, y } = trunk;
    return rounded([
      start,
      { x: right, y: start.y },
      { x: right, y },
      { x: left, y },
      { x: left, y: end.y },
      end,
    ]);
  }
}

/** The height half-way between the two bands. */
function gapBetween(bands: readonly BandBox[]): number {
  const sync = bands.find((b) => b.band === "sync");
  const later = bands.find((b) => b.band === "later");
  return sync && later ? (sync.y + sync.height + later.y) / 2 : 0;
}

/** Spreads the ends of a card's edges over its side, in the order of where they go. */
function choosePorts(
  edges: readonly MapEdge[],
  places: ReadonlyMap<string, Place>,
  crosses: (edge: MapEdge) => boolean,
) {
  const ports = edges.map(() => ({ start: 0, end: 0 }));
  const spread = (
    end: "start" | "end",
    own: (e: MapEdge) => string,
    other: (e: MapEdge) => string,
  ) => {
    const groups = new Map<string, number[]>();
    edges.forEach((e, i) => {
      groups.set(own(e), [...(groups.get(own(e)) ?? []), i]);
    });
    for (const [id, list] of groups) {
      const place = places.get(id);
      if (!place) continue;
      const head = Math.min(48, place.height);
      const yOf = (i: number) => places.get(other(edges[i] as MapEdge))?.y ?? 0;
      list.sort((a, b) => yOf(a) - yOf(b) || a - b);
      const across = list.filter((i) => crosses(edges[i] as MapEdge));
      const within = list.filter((i) => !crosses(edges[i] as MapEdge));
      // The other band is beneath, or above: so is the port of all that goes there.
      const shared = across.length > 0 ? [across] : [];
      const single = within.map((i) => [i]);
      const slots = place.band === "sync" ? [...single, ...shared] : [...shared, ...single];
      const room = head <= PILL_HEIGHT ? 12 : 26;
      const gap = Math.min(8, room / Math.max(1, slots.length - 1));
      slots.forEach((slot, n) => {
        for (const index of slot) {
          const port = ports[index];
          if (port) port[end] = place.y + head / 2 + (n - (slots.length - 1) / 2) * gap;
        }
      });
    }
  };
  spread(
    "start",
    (e) => e.from,
    (e) => e.to,
  );
  spread(
    "end",
    (e) => e.to,
    (e) => e.from,
  );
  return ports;
}

/** An S from left to right, level at both ends. */
function curve(a: Point, b: Point): Point[] {
  const reach = Math.max(18, (b.x - a.x) * 0.5);
  const points: Point[] = [];
  for (let i = 0; i <= 22; i++) {
    const s = i / 22;
    const r = 1 - s;
    const [p, q, u, v] = [r * r * r, 3 * r * r * s, 3 * r * s * s, s * s * s];
    points.push({
      x: p * a.x + q * (a.x + reach) + u * (b.x - reach) + v * b.x,
      y: (p + q) * a.y + (u + v) * b.y,
    });
  }
  return points;
}

/** Straight lines with their corners rounded. */
function rounded(corners: readonly Point[], radius = 9): Point[] {
  const out: Point[] = [];
  corners.forEach((corner, i) => {
    const before = corners[i - 1];
    const after = corners[i + 1];
    if (!before || !after) {
      out.push(corner);
      return;
    }
    const toward = (p: Point) => {
      const far = Math.hypot(p.x - corner.x, p.y - corner.y) || 1;
      const r = Math.min(radius, far / 2);
      return {
        x: corner.x + ((p.x - corner.x) / far) * r,
        y: corner.y + ((p.y - corner.y) / far) * r,
      };
    };
    const a = toward(before);
    const b = toward(after);
    for (let k = 0; k <= 5; k++) {
      const s = k / 5;
      const r = 1 - s;
      out.push({
        x: r * r * a.x + 2 * r * s * corner.x + s * s * b.x,
        y: r * r * a.y + 2 * r * s * corner.y + s * s * b.y,
      });
    }
  });
  return out;
}

function hitsPath(
  path: readonly Point[],
  places: readonly Place[],
  skip: readonly Place[],
): boolean {
  return path.some((p) => hits({ x: p.x - 4, y: p.y - 4, width: 8, height: 8 }, places, skip));
}

function hits(rect: Rect, places: readonly Place[], skip: readonly Place[]): boolean {
  return places.some(
    (p) =>
      !skip.includes(p) &&
      rect.x < p.x + p.width &&
      p.x < rect.x + rect.width &&
      rect.y < p.y + p.height &&
      p.y < rect.y + rect.height,
  );
}
