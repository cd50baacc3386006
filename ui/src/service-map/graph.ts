/**
 * The map as it is drawn: which nodes are cards, which are docked under their only caller, and which
 * of the two bands a card belongs to. Pure.
 */
import type { MapEdge, MapNode, ServiceMap } from "../api/types";

export type Health = "ok" | "warn" | "error";
/** What the user is waiting for, and what runs afterwards. */
export type Band = "sync" | "later";

/** A dependency under its only caller, with the numbers of that one edge. */
export interface Docked {
  readonly node: MapNode;
  readonly edge: MapEdge;
}

export interface Card {
  readonly id: string;
  readonly node: MapNode;
  readonly isBroker: boolean;
  readonly docked: readonly Docked[];
  readonly band: Band;
}

export interface Graph {
  readonly cards: readonly Card[];
  /** Edges between cards; those to docked nodes are part of their card. */
  readonly edges: readonly MapEdge[];
  readonly dockedCount: number;
}

/** Shares of failed requests from which on a node or an edge is amber, and red. */
export const WARN_SHARE = 0.01;
export const ERROR_SHARE = 0.05;

export function health({ requests, errors }: { requests: number; errors: number }): Health {
  if (requests === 0 || errors === 0) return "ok";
  const share = errors / requests;
  return share >= ERROR_SHARE ? "error" : share >= WARN_SHARE ? "warn" : "ok";
}

export const isBroker = ({ kind }: Pick<MapNode, "kind">) =>
  kind === "queue" || kind === "topic" || kind === "stream";

/**
 * Whether an edge rests on a likeness only. That a service calls a database or sends to a broker its
 * own span says; that a message was taken by another service is inferred when no id says so.
 */
export const isGuess = ({ from, to, evidence }: Pick<MapEdge, "from" | "to" | "evidence">) =>
  evidence.every((e) => e === "inferred") &&
  to.startsWith("service:") &&
  !from.startsWith("service:");

/** Whether an edge is known by ids of messages: no context goes along it. */
export const isMessage = ({ evidence }: Pick<MapEdge, "evidence">) =>
  evidence.length > 0 &&
  evidence.every((e) => e === "message" || e === "inferred") &&
  evidence.includes("message");

/** Orders by id, docks, and sorts into bands. The same map gives the same graph in any order. */
export function buildGraph(map: ServiceMap): Graph {
  const nodes = new Map(
    [...map.nodes].sort((a, b) => (a.id < b.id ? -1 : 1)).map((n) => [n.id, n] as const),
  );
  const edges = map.edges
    .filter((e) => nodes.has(e.from) && nodes.has(e.to) && e.from !== e.to)
    .sort((a, b) => (a.from === b.from ? (a.to < b.to ? -1 : 1) : a.from < b.from ? -1 : 1));
  const docked = dock(nodes, edges);
  const drawn = edges.filter((e) => !docked.has(e.to));
  const ids = [...nodes.keys()].filter((id) => !docked.has(id));
  const bands = sortIntoBands(ids, nodes, drawn);
  const byCaller = new Map<string, Docked[]>();
  for (const { node, edge } of docked.values()) {
    const list = byCaller.get(edge.from) ?? [];
    byCaller.set(edge.from, [...list, { node, edge }]);
  }
  const cards = [...nodes.values()]
    .filter((node) => !docked.has(node.id))
    .map((node) => ({
      id: node.id,
      node,
      isBroker: isBroker(node),
      docked: byCaller.get(node.id) ?? [],
      band: bands.get(node.id) ?? ("sync" as const),
    }));
  return { cards, edges: drawn, dockedCount: docked.size };
}

/** A database or an outside API with exactly one caller, which is a service, and no call of its own. */
function dock(nodes: ReadonlyMap<string, MapNode>, edges: readonly MapEdge[]): Map<string, Docked> {
  const docked = new Map<string, Docked>();
  const callers = group(edges, (e) => e.to);
  const callees = group(edges, (e) => e.from);
  for (const node of nodes.values()) {
    if (node.kind !== "database" && node.kind !== "external") continue;
    const [edge, ...others] = callers.get(node.id) ?? [];
    if (!edge || others.length > 0 || callees.has(node.id)) continue;
    if (nodes.get(edge.from)?.kind === "service") docked.set(node.id, { node, edge });
  }
  return docked;
}

/**
 * Sync: what an entry reaches by calls, and the brokers it publishes to. Later: the rest, for it is
 * reached by a message only. Where there is no entry (a loop), the busiest node is one.
 */
function sortIntoBands(
  ids: readonly string[],
  nodes: ReadonlyMap<string, MapNode>,
  edges: readonly MapEdge[],
): Map<string, Band> {
  const bands = new Map<string, Band>();
  const out = group(edges, (e) => e.from);
  const into = group(edges, (e) => e.to);
  const broker = (id: string) => isBroker(nodes.get(id) ?? { kind: "service" });
  const spread = (from: string, band: Band, follow: (e: MapEdge) => boolean) => {
    const queue = [from];
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      if (bands.has(id)) continue;
      bands.set(id, band);
      for (const edge of out.get(id) ?? []) if (follow(edge)) queue.push(edge.to);
    }
  };
  const asCaller = (id: string) => {
    spread(id, "sync", (e) => e.kind === "sync" && !broker(e.to));
  };
  const afterwards = () => {
    for (const [id, band] of [...bands]) {
      if (band !== "sync" || broker(id)) continue;
      for (const edge of out.get(id) ?? []) {
        if (broker(edge.to) && !bands.has(edge.to)) bands.set(edge.to, "sync");
      }
    }
    for (const [id, band] of [...bands]) {
      if (band === "sync") for (const e of out.get(id) ?? []) spread(e.to, "later", () => true);
    }
  };
  for (const id of ids) if (!into.has(id) && !broker(id)) asCaller(id);
  afterwards();
  for (const id of ids) if (!into.has(id)) spread(id, "later", () => true);
  const left = () =>
    ids
      .filter((id) => !bands.has(id))
      .sort((a, b) => (nodes.get(b)?.requests ?? 0) - (nodes.get(a)?.requests ?? 0));
  for (let [id] = left(); id !== undefined; [id] = left()) {
    if (broker(id)) spread(id, "later", () => true);
    else asCaller(id);
    afterwards();
  }
  return bands;
}

/** The nodes within `hops` calls before or after a node, itself included. */
export function neighbourhood(graph: Graph, id: string, hops: number): Set<string> {
  const kept = new Set([id]);
  const walk = (next: (e: MapEdge) => string, from: (e: MapEdge) => string) => {
    let front = new Set([id]);
    for (let hop = 0; hop < hops; hop++) {
      const further = new Set<string>();
      for (const edge of graph.edges) if (front.has(from(edge))) further.add(next(edge));
      for (const found of further) kept.add(found);
      front = further;
    }
  };
  walk(
    (e) => e.to,
    (e) => e.from,
  );
  walk(
    (e) => e.from,
    (e) => e.to,
  );
  return kept;
}

/** The edge with the largest share of failures, if it is worth a sentence. */
export function worstEdge(edges: readonly MapEdge[]): MapEdge | null {
  const failing = edges.filter((e) => health(e) !== "ok");
  return failing.reduce<MapEdge | null>(
    (worst, e) => (!worst || e.errors / e.requests > worst.errors / worst.requests ? e : worst),
    null,
  );
}

/** The next card from here in a direction, as the eye would take it. */
export function neighbourIn(
  direction: "left" | "right" | "up" | "down",
  from: { x: number; y: number },
  places: ReadonlyMap<string, { x: number; y: number }>,
): string | null {
  const horizontal = direction === "left" || direction === "right";
  const sign = direction === "right" || direction === "down" ? 1 : -1;
  let best: { id: string; cost: number } | null = null;
  for (const [id, at] of places) {
    const ahead = sign * (horizontal ? at.x - from.x : at.y - from.y);
    const aside = Math.abs(horizontal ? at.y - from.y : at.x - from.x);
    if (ahead < 8 || aside > 3 * ahead) continue;
    const cost = ahead + 2.2 * aside;
    if (!best || cost < best.cost) best = { id, cost };
  }
  return best?.id ?? null;
}

function group<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const map = new Map<string, T[]>();
  for (const item of items) {
    const list = map.get(key(item));
    if (list) list.push(item);
    else map.set(key(item), [item]);
  }
  return map;
}
