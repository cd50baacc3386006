import { expect, test } from "vitest";
import type { MapEdge, MapNode, ServiceMap } from "../api/types";
import { type Layout, overlap, toKept } from "./boxes";
import { nodeFinding } from "./finding";
import { buildGraph, neighbourhood, neighbourIn, worstEdge } from "./graph";
import { layoutGraph } from "./layout";
import { routeEdges } from "./routes";

const RED = { requests: 100, errors: 0, p50Nano: 1, p95Nano: 2, p99Nano: 3 };

function kindOf(name: string): MapNode["kind"] {
  if (name.endsWith("-db")) return "database";
  return name.endsWith("-topic") ? "topic" : "service";
}
const id = (name: string) => `${kindOf(name)}:${name}`;

/** `a>b` is a call, `a~b` a message. */
function map(text: string): ServiceMap {
  const nodes = new Map<string, MapNode>();
  const edges: MapEdge[] = text.split(" ").flatMap((part) => {
    const names = part.split(/[>~]/);
    for (const name of names) {
      nodes.set(name, {
        ...RED,
        id: id(name),
        name,
        kind: kindOf(name),
        system: null,
        inferred: false,
      });
    }
    const [from = "", to] = names;
    if (to === undefined) return [];
    const kind = part.includes("~") ? ("async" as const) : ("sync" as const);
    return [{ ...RED, from: id(from), to: id(to), kind, evidence: ["parent" as const] }];
  });
  return { nodes: [...nodes.values()], edges, fromUnixNano: "0", toUnixNano: "1" };
}

const SHOP =
  "web>api mobile>api api>cart api>checkout checkout>payments checkout>orders payments>payments-db orders>orders-db orders~order-topic order-topic~mailer mailer>mailer-db order-topic~warehouse warehouse>stock cart>shared-db checkout>shared-db api>auth web>auth";

/** A shop of any size: three layers of services, each with its own database. */
function big(n: number): string {
  const parts: string[] = [];
  for (let i = 1; i < n; i++) parts.push(`s${Math.floor((i - 1) / 3)}>s${i}`, `s${i}>s${i}-db`);
  return parts.join(" ");
}

function noOverlap(layout: Layout) {
  const all = layout.places;
  const pairs = all.flatMap((a, i) =>
    all
      .slice(i + 1)
      .filter((b) => overlap(a, b, 0))
      .map((b) => `${a.id} ${b.id}`),
  );
  expect(pairs).toEqual([]);
  const [one, two] = layout.bands;
  if (one && two) expect(overlap(one, two, 0)).toBe(false);
}

const bandOf = (text: string, name: string) =>
  buildGraph(map(text)).cards.find((c) => c.id === id(name))?.band;

test("a database with one caller is docked, with two it is a card", () => {
  const graph = buildGraph(map(SHOP));
  const card = (name: string) => graph.cards.find((c) => c.id === id(name));
  expect(card("payments-db")).toBeUndefined();
  expect(card("payments")?.docked.map((d) => d.node.name)).toEqual(["payments-db"]);
  expect(card("shared-db")).toBeDefined();
  expect(graph.dockedCount).toBe(3);
});

test("what a message starts is later, what a call reaches is not", () => {
  expect(bandOf(SHOP, "payments")).toBe("sync");
  expect(bandOf(SHOP, "order-topic")).toBe("sync");
  expect(bandOf(SHOP, "mailer")).toBe("later");
  expect(bandOf(SHOP, "stock")).toBe("later");
  expect(bandOf("a>b b>a", "a")).toBe("sync");
  expect(bandOf("lone-topic~worker", "worker")).toBe("later");
});

test("no card covers another, cold, at any size", () => {
  for (const text of [SHOP, "alone", "a b c d e f g h i j k", "a>b b>c c>a", big(60), big(150)]) {
    noOverlap(layoutGraph(buildGraph(map(text)), {}));
  }
});

test("the same data gives the same layout, in whatever order it comes", () => {
  const forward = map(SHOP);
  const backward = {
    ...forward,
    nodes: forward.nodes.toReversed(),
    edges: forward.edges.toReversed(),
  };
  expect(layoutGraph(buildGraph(backward), {})).toEqual(layoutGraph(buildGraph(forward), {}));
});

test("nothing moves when something is added, and nothing overlaps", () => {
  const before = layoutGraph(buildGraph(map(SHOP)), {});
  const kept = toKept(before);
  for (const added of [
    " payments>ledger-db",
    " order-topic~analytics",
    " api>gate gate>checkout",
    " new",
    " cart>c1-db cart>c2-db cart>c3-db cart>c4-db",
    ` ${Array.from({ length: 25 }, (_, i) => `checkout>x${i}`).join(" ")}`,
  ]) {
    const after = layoutGraph(buildGraph(map(SHOP + added)), kept);
    noOverlap(after);
    for (const old of before.places) {
      const now = after.places.find((p) => p.id === old.id);
      expect([now?.x, now?.y], `${old.id} after ${added}`).toEqual([old.x, old.y]);
    }
  }
});

test("a card that went away and came back is where it was", () => {
  const kept = toKept(layoutGraph(buildGraph(map(SHOP)), {}));
  const without = layoutGraph(buildGraph(map(SHOP.replace(" payments>payments-db", ""))), kept);
  const again = layoutGraph(buildGraph(map(SHOP)), { ...kept, ...toKept(without) });
  expect(toKept(again)).toEqual(kept);
});

test("every edge runs from the right of its caller to the left of its callee", () => {
  const graph = buildGraph(map(`${SHOP} payments>web`));
  const layout = layoutGraph(graph, {});
  const paths = routeEdges(graph.edges, layout);
  graph.edges.forEach((edge, i) => {
    const from = layout.places.find((p) => p.id === edge.from);
    const to = layout.places.find((p) => p.id === edge.to);
    expect(paths[i]?.[0]?.x).toBeCloseTo((from?.x ?? 0) + (from?.width ?? 0));
    expect(paths[i]?.at(-1)?.x).toBeCloseTo(to?.x ?? 0);
    expect(paths[i]?.every((p) => Number.isFinite(p.x) && Number.isFinite(p.y))).toBe(true);
  });
});

test("what one card sends to the other band runs as one line until it parts", () => {
  const graph = buildGraph(map(SHOP));
  const layout = layoutGraph(graph, {});
  const paths = routeEdges(graph.edges, layout);
  const across = graph.edges.flatMap((edge, i) => {
    const [from, to] = [edge.from, edge.to].map((id) => layout.places.find((p) => p.id === id));
    return from?.band === to?.band ? [] : [{ from: edge.from, path: paths[i] ?? [] }];
  });
  const starts = across.map(({ from, path }) => `${from} ${JSON.stringify(path.slice(0, 8))}`);
  const sources = new Set(across.map(({ from }) => from));
  expect(across.length).toBeGreaterThan(sources.size);
  expect(new Set(starts).size).toBe(sources.size);
});

test("the focus keeps two calls before and after", () => {
  const kept = neighbourhood(buildGraph(map(SHOP)), id("checkout"), 2);
  expect([...kept].sort()).toEqual(
    ["api", "checkout", "mobile", "orders", "payments", "web", "order-topic", "shared-db"]
      .map(id)
      .sort(),
  );
});

test("arrows walk to the neighbour the eye would take", () => {
  const places = new Map([
    ["a", { x: 0, y: 0 }],
    ["b", { x: 260, y: 10 }],
    ["c", { x: 200, y: 400 }],
  ]);
  expect(neighbourIn("right", { x: 0, y: 0 }, places)).toBe("b");
  expect(neighbourIn("down", { x: 0, y: 0 }, places)).toBe("c");
  expect(neighbourIn("left", { x: 0, y: 0 }, places)).toBeNull();
});

test("the finding names the call that fails", () => {
  const shop = map(SHOP);
  const checkout = shop.nodes.find((n) => n.name === "checkout") as MapNode;
  const call = shop.edges.find((e) => e.to === id("payments")) as MapEdge;
  expect(nodeFinding(checkout, shop.edges)).toBeNull();
  checkout.errors = 6;
  expect(nodeFinding(checkout, shop.edges)).toEqual({ kind: "own" });
  call.errors = 8;
  expect(nodeFinding(checkout, shop.edges)).toEqual({ kind: "from", edge: call });
  expect(worstEdge(shop.edges)).toBe(call);
});
