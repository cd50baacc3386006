import { expect, test } from "vitest";
import type { MapEdge, MapNode, ServiceMap } from "../api/types";
import { counted, edgeKey, withGhosts } from "./changes";

const RED = { requests: 9, errors: 1, p50Nano: 1, p95Nano: 2, p99Nano: 3 };
const map = (nodes: string[], edges: [string, string][]): ServiceMap => ({
  nodes: nodes.map(
    (id): MapNode => ({ ...RED, id, name: id, kind: "service", system: null, inferred: false }),
  ),
  edges: edges.map(
    ([from, to]): MapEdge => ({ ...RED, from, to, kind: "sync", evidence: ["parent"] }),
  ),
  fromUnixNano: "0",
  toUnixNano: "1",
});

test("what went stays as a ghost without numbers, what came is new", () => {
  const now = map(
    ["a", "b", "d"],
    [
      ["a", "b"],
      ["a", "d"],
    ],
  );
  const { map: whole, changes } = withGhosts(
    now,
    map(
      ["a", "b", "c"],
      [
        ["a", "b"],
        ["b", "c"],
      ],
    ),
  );
  expect(whole.nodes.map((n) => n.id)).toEqual(["a", "b", "d", "c"]);
  expect(whole.nodes.at(-1)).toMatchObject({ id: "c", requests: 0, errors: 0 });
  expect([...changes.nodes]).toEqual([
    ["d", "new"],
    ["c", "gone"],
  ]);
  expect([...changes.edges]).toEqual([
    ["a>d sync", "new"],
    ["b>c sync", "gone"],
  ]);
  expect(counted(changes)).toEqual({ new: 2, gone: 2 });
});

test("nothing is new against a time of which nothing is known", () => {
  const now = map(["a"], []);
  expect(withGhosts(now, map([], []))).toMatchObject({ map: now, changes: { nodes: new Map() } });
  expect(withGhosts(now, null).map).toBe(now);
});

test("a call and a message between the same two are two edges", () => {
  expect(edgeKey({ from: "a", to: "b", kind: "sync" })).not.toBe(
    edgeKey({ from: "a", to: "b", kind: "async" }),
  );
});
