import { expect, test } from "vitest";
import type { MapEdge, MapNode, ServiceMap } from "../api/types";
import { byPrefix, byValue, grouped, members, withShortNames } from "./group";

const node = (name: string, more: Partial<MapNode> = {}): MapNode => ({
  id: `service:${name}`,
  name,
  kind: "service",
  system: null,
  inferred: false,
  requests: 10,
  errors: 1,
  p50Nano: 1,
  p95Nano: 2,
  p99Nano: 3,
  ...more,
});
const edge = (from: string, to: string, more: Partial<MapEdge> = {}): MapEdge => ({
  from: `service:${from}`,
  to: `service:${to}`,
  kind: "sync",
  evidence: ["parent"],
  requests: 5,
  errors: 0,
  p50Nano: 1,
  p95Nano: 2,
  p99Nano: 3,
  ...more,
});
const map = (nodes: MapNode[], edges: MapEdge[] = []): ServiceMap => ({
  nodes,
  edges,
  fromUnixNano: "0",
  toUnixNano: "1",
});

test("a host is left out of a name unless two nodes would then be called the same", () => {
  const names = (nodes: MapNode[]) => withShortNames(map(nodes)).nodes.map((n) => n.name);
  expect(names([node("orders@db1"), node("users@db1")])).toEqual(["orders", "users"]);
  expect(names([node("orders@db1"), node("orders@db2")])).toEqual(["orders@db1", "orders@db2"]);
  expect(names([node("@x")])).toEqual(["@x"]);
});

test("a family becomes one card, its calls add up and those within it go", () => {
  const before = map(
    [node("pay-api"), node("pay-worker", { p95Nano: 9 }), node("web")],
    [edge("web", "pay-api"), edge("web", "pay-worker"), edge("pay-api", "pay-worker")],
  );
  const after = grouped(before, byPrefix);
  expect(after.nodes.map((n) => n.name)).toEqual(["pay-* (2)", "web"]);
  expect(after.nodes[0]).toMatchObject({ requests: 20, errors: 2, p95Nano: 9 });
  expect(after.edges).toHaveLength(1);
  expect(after.edges[0]).toMatchObject({ from: "service:web", to: "group:pay", requests: 10 });
  expect(members(before, "group:pay", byPrefix).map((n) => n.name)).toEqual([
    "pay-api",
    "pay-worker",
  ]);
});

test("the parts of a family's members with the same value are one", () => {
  const part = (value: string | null, requests: number) => ({
    value,
    requests,
    errors: 1,
    p50Nano: 1,
    p95Nano: requests,
    p99Nano: 9,
  });
  const nodes = [
    node("pay-api", { parts: [part("eu", 3), part(null, 1)] }),
    node("pay-web", { parts: [part("eu", 5)] }),
  ];
  const [family] = grouped(map(nodes), byPrefix).nodes;
  expect(family?.parts).toEqual([
    { value: "eu", requests: 8, errors: 2, p50Nano: 1, p95Nano: 5, p99Nano: 9 },
    { value: null, requests: 1, errors: 1, p50Nano: 1, p95Nano: 1, p99Nano: 9 },
  ]);
});

test("a family may be what most requests of its members say, and who says nothing stands alone", () => {
  const said = (...values: (string | null)[]) =>
    values.map((value, i) => ({
      value,
      requests: 9 - i,
      errors: 0,
      p50Nano: 1,
      p95Nano: 1,
      p99Nano: 1,
    }));
  const nodes = [
    node("pay", { parts: said("shop", "ops") }),
    node("cart", { parts: said(null, "shop") }),
    node("cron", { parts: said("ops") }),
    node("other", { parts: said(null) }),
  ];
  const grouping = byValue(map(nodes));
  const after = grouped(map([node("pay"), node("cart"), node("cron"), node("other")]), grouping);
  expect(after.nodes.map((n) => n.name)).toEqual(["shop (2)", "cron", "other"]);
  expect(members(map(nodes), "group:shop", grouping).map((n) => n.name)).toEqual(["pay", "cart"]);
});
