/**
 * Where the cards are. Pure and deterministic; runs in a worker.
 *
 * Cold, each connected part of a band is layered by dagre and the parts are set like words in lines.
 * Warm, what has a place keeps it and a new card takes the nearest free one: nothing moves unless
 * the user asks for it.
 */
import { Graph as DagreGraph, layout as dagreLayout } from "@dagrejs/dagre";
import type { MapEdge } from "../api/types";
import {
  type BandBox,
  CARD_HEIGHT,
  type Kept,
  type Layout,
  overlap,
  PILL_HEIGHT,
  type Place,
} from "./boxes";
import type { Band, Card, Graph } from "./graph";

const DOCK_ROW = 23;
const DOCK_PAD = 5;
const COLUMN_GAP = 76;
const ROW_GAP = 26;
const BAND_PAD = 24;
const BAND_TITLE = 34;
const BAND_GAP = 52;
/** Lines of a band are at least this long, however narrow its widest part is. */
const LINE_MIN = 1500;
/** The room a map has on a common screen, beside rail and bars. Only the shape matters. */
const SCREEN = { width: 1560, height: 780 };
/** How much longer the lines of the upper band may be, and how much lower its columns. */
const STRETCHES = [1, 1.2, 1.4, 1.7, 2, 2.4] as const;
const SQUEEZES = [1, 0.8, 0.62] as const;

export function cardWidth(card: Card): number {
  const letters = card.node.name.length;
  if (card.isBroker) return Math.min(270, Math.max(124, 62 + letters * 10.4));
  return Math.min(290, Math.max(188, 68 + letters * 10));
}

export function cardHeight(card: Card, dockedShown = card.docked.length): number {
  if (card.isBroker) return PILL_HEIGHT;
  return CARD_HEIGHT + (dockedShown > 0 ? dockedShown * DOCK_ROW + DOCK_PAD : 0);
}

/** Places every card of the graph; `kept` may be empty or hold cards that are no longer there. */
export function layoutGraph(graph: Graph, kept: Readonly<Record<string, Kept>>): Layout {
  const known = graph.cards.filter((c) => kept[c.id] !== undefined);
  const places = known.length > 0 ? warm(graph, known, kept) : cold(graph);
  return { places, bands: bandBoxes(places) };
}

/** Lines as long, and heights as small, as make the whole fill a screen best. */
function cold({ cards, edges }: Graph): Place[] {
  const parts = (band: Band) =>
    islands(
      cards.filter((c) => c.band === band),
      edges,
    ).map((island) => layer(island, edges));
  const [sync, later] = [parts("sync"), parts("later")];
  let best: Place[] = [];
  let bestScale = 0;
  for (const squeeze of SQUEEZES) {
    const narrow = (all: readonly Part[]) => all.map((part) => squeezed(part, squeeze));
    const [above, beneath] = [narrow(sync), narrow(later)];
    for (const stretch of STRETCHES) {
      const places = bands(above, beneath, stretch);
      const [first, ...boxes] = bandBoxes(places);
      const bottom = Math.max(...[first, ...boxes].map((b) => (b ? b.y + b.height : 0)));
      const scale = Math.min(
        SCREEN.width / (first?.width ?? 1),
        SCREEN.height / (bottom - (first?.y ?? 0) || 1),
      );
      if (scale <= bestScale * 1.02) continue;
      best = places;
      bestScale = scale;
    }
  }
  return best;
}

function bands(above: readonly Part[], beneath: readonly Part[], stretch: number): Place[] {
  const sync = flow(above, LINE_MIN, stretch);
  const later = flow(beneath, Math.max(LINE_MIN, ...sync.map((p) => p.x + p.width)), 1);
  const bottom = Math.max(0, ...sync.map((p) => p.y + p.height));
  const offset = sync.length > 0 ? bottom + BAND_PAD * 2 + BAND_TITLE + BAND_GAP : 0;
  return [...sync, ...later.map((p) => ({ ...p, y: p.y + offset }))];
}

/** The parts of a band like words in lines no longer than `line`, or than the longest word. */
function flow(all: readonly Part[], line: number, stretch: number): Place[] {
  const parts = [...all].sort(
    (a, b) => b.width * b.height - a.width * a.height || (a.key < b.key ? -1 : 1),
  );
  const longest = Math.max(line, ...parts.map((p) => p.width)) * stretch;
  const out: Place[] = [];
  let x = 0;
  let y = 0;
  let lineHeight = 0;
  for (const part of parts) {
    if (x > 0 && x + part.width > longest) {
      x = 0;
      y += lineHeight + ROW_GAP;
      lineHeight = 0;
    }
    for (const place of part.places) out.push({ ...place, x: place.x + x, y: place.y + y });
    x += part.width + COLUMN_GAP;
    lineHeight = Math.max(lineHeight, part.height);
  }
  return out;
}

/** Groups of cards that are connected by edges, each in the order of ids. */
function islands(cards: readonly Card[], edges: readonly MapEdge[]): Card[][] {
  const root = new Map(cards.map((c) => [c.id, c.id]));
  const find = (id: string): string => {
    const up = root.get(id) ?? id;
    return up === id ? id : find(up);
  };
  for (const { from, to } of edges)
    if (root.has(from) && root.has(to)) root.set(find(from), find(to));
  const groups = new Map<string, Card[]>();
  for (const card of cards) {
    const key = find(card.id);
    groups.set(key, [...(groups.get(key) ?? []), card]);
  }
  return [...groups.values()];
}

function layer(cards: readonly Card[], edges: readonly MapEdge[]): Part {
  const graph = new DagreGraph();
  graph.setGraph({
    rankdir: "LR",
    nodesep: ROW_GAP,
    ranksep: COLUMN_GAP,
    edgesep: 10,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  const ids = new Set(cards.map((c) => c.id));
  for (const card of cards) {
    graph.setNode(card.id, { width: cardWidth(card), height: cardHeight(card) });
  }
  for (const e of edges) {
    if (ids.has(e.from) && ids.has(e.to))
      graph.setEdge(e.from, e.to, { weight: e.kind === "sync" ? 2 : 1 });
  }
  dagreLayout(graph);
  const raw = cards.map((card): Place => {
    const { x, y } = graph.node(card.id) as { x: number; y: number };
    const width = cardWidth(card);
    const height = cardHeight(card);
    return {
      id: card.id,
      band: card.band,
      x: Math.round(x - width / 2),
      y: Math.round(y - height / 2),
      width,
      height,
      dockedShown: card.docked.length,
    };
  });
  const left = Math.min(...raw.map((p) => p.x));
  const top = Math.min(...raw.map((p) => p.y));
  const places = raw.map((p) => ({ ...p, x: p.x - left, y: p.y - top }));
  return {
    key: cards[0]?.id ?? "",
    places,
    width: Math.max(...places.map((p) => p.x + p.width)),
    height: Math.max(...places.map((p) => p.y + p.height)),
  };
}

interface Part {
  readonly key: string;
  readonly places: readonly Place[];
  readonly width: number;
  readonly height: number;
}

/**
 * The part with its empty heights shrunk: cards come nearer to each other from above to beneath, keep
 * their order in every column, and never touch.
 */
function squeezed(part: Part, share: number): Part {
  if (share === 1) return part;
  const done: Place[] = [];
  for (const place of [...part.places].sort((a, b) => a.y - b.y || a.x - b.x)) {
    const above = done.filter((p) => p.x < place.x + place.width && place.x < p.x + p.width);
    const least = Math.max(0, ...above.map((p) => p.y + p.height + ROW_GAP));
    done.push({ ...place, y: Math.max(least, Math.round(place.y * share)) });
  }
  return { ...part, places: done, height: Math.max(...done.map((p) => p.y + p.height)) };
}

function warm(graph: Graph, known: readonly Card[], kept: Readonly<Record<string, Kept>>): Place[] {
  const places: Place[] = [];
  const homeless: Card[] = [];
  for (const card of known) {
    const at = kept[card.id];
    if (!at) continue;
    const head = { x: at.x, y: at.y, width: cardWidth(card), height: cardHeight(card, 0) };
    // Two cards remembered in one place: the second was away when the first came.
    if (places.some((p) => overlap(head, { ...p, height: headHeight(p) }, 0))) homeless.push(card);
    else places.push({ ...head, id: card.id, band: at.band, dockedShown: 0 });
  }
  const roomy = growDocks(places, graph);
  homeless.push(...graph.cards.filter((c) => kept[c.id] === undefined));
  for (const card of homeless) roomy.push(settle(card, roomy, graph));
  return roomy;
}

const headHeight = (place: Place) => Math.min(place.height, CARD_HEIGHT);

/** Gives each kept card as many docked rows as fit above what is beneath it. */
function growDocks(places: readonly Place[], graph: Graph): Place[] {
  const cards = new Map(graph.cards.map((c) => [c.id, c]));
  return places.map((place) => {
    const card = cards.get(place.id);
    if (!card || card.docked.length === 0) return place;
    let shown = card.docked.length;
    const fits = (count: number) =>
      !places.some(
        (p) => p.id !== place.id && overlap({ ...place, height: cardHeight(card, count) }, p, 2),
      );
    while (shown > 0 && !fits(shown)) shown -= 1;
    return { ...place, dockedShown: shown, height: cardHeight(card, shown) };
  });
}

/** The free place nearest to where a new card would like to be: beside who calls it or is called. */
function settle(card: Card, places: readonly Place[], graph: Graph): Place {
  const width = cardWidth(card);
  const height = cardHeight(card);
  const byId = new Map(places.map((p) => [p.id, p]));
  const inBand = places.filter((p) => p.band === card.band);
  const others = places.filter((p) => p.band !== card.band);
  const caller = graph.edges.find((e) => e.to === card.id && byId.get(e.from)?.band === card.band);
  const callee = graph.edges.find((e) => e.from === card.id && byId.get(e.to)?.band === card.band);
  const before = caller && byId.get(caller.from);
  const after = callee && byId.get(callee.to);
  const clearance = BAND_PAD * 2 + BAND_TITLE + BAND_GAP;
  // A band grows away from the other one, never into it.
  const top =
    card.band === "later" && others.length > 0
      ? Math.max(...others.map((p) => p.y + p.height)) + clearance
      : Number.NEGATIVE_INFINITY;
  const bottom =
    card.band === "sync" && others.length > 0
      ? Math.min(...others.map((p) => p.y)) - clearance
      : Number.POSITIVE_INFINITY;
  const wish = before
    ? { x: before.x + before.width + COLUMN_GAP, y: before.y }
    : after
      ? { x: after.x - COLUMN_GAP - width, y: after.y }
      : {
          x: Math.min(0, ...inBand.map((p) => p.x)),
          y: inBand.length > 0 ? Math.max(...inBand.map((p) => p.y + p.height)) + ROW_GAP : 0,
        };
  const start = {
    x: Math.round(wish.x),
    y: Math.round(Math.min(bottom - height, Math.max(top, wish.y))),
  };
  const place = (x: number, y: number): Place => ({
    id: card.id,
    band: card.band,
    x,
    y,
    width,
    height,
    dockedShown: card.docked.length,
  });
  rings ??= nearestFirst();
  for (const { dx, dy } of rings) {
    const rect = place(start.x + dx, start.y + dy);
    const inside = rect.y >= top && rect.y + height <= bottom;
    if (inside && !places.some((p) => overlap(rect, p, 16))) return rect;
  }
  // Every near place is taken: beside everything else is always free.
  return place(Math.max(0, ...places.map((p) => p.x + p.width)) + COLUMN_GAP, start.y);
}

interface Step {
  readonly dx: number;
  readonly dy: number;
}

/** Steps away from a point, nearest first; down before up, right before left. */
function nearestFirst(): readonly Step[] {
  const steps: Step[] = [];
  for (let i = -24; i <= 24; i++) {
    for (let j = -40; j <= 40; j++) steps.push({ dx: i * 66, dy: j * 18 });
  }
  const far = (s: Step) => Math.hypot(s.dx * 1.5, s.dy);
  return steps.sort((a, b) => far(a) - far(b) || b.dy - a.dy || b.dx - a.dx);
}

/** Made when the first card needs a free place: most maps have none that does. */
let rings: readonly Step[] | undefined;

function bandBoxes(places: readonly Place[]): BandBox[] {
  const left = Math.min(...places.map((p) => p.x)) - BAND_PAD;
  const right = Math.max(...places.map((p) => p.x + p.width)) + BAND_PAD;
  return (["sync", "later"] as const).flatMap((band) => {
    const own = places.filter((p) => p.band === band);
    if (own.length === 0) return [];
    const top = Math.min(...own.map((p) => p.y)) - BAND_PAD - BAND_TITLE;
    const bottom = Math.max(...own.map((p) => p.y + p.height)) + BAND_PAD;
    return [{ band, x: left, y: top, width: right - left, height: bottom - top }];
  });
}
