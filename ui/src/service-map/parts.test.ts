import { expect, test } from "vitest";
import type { MapNode, Part } from "../api/types";
import { COLORED_MAX, partStyles, segments } from "./parts";

const RED = { errors: 0, p50Nano: 1, p95Nano: 2, p99Nano: 3 };
const part = (value: string | null, requests: number): Part => ({ ...RED, value, requests });
const node = (...parts: Part[]): MapNode => ({
  ...RED,
  requests: 0,
  id: "x",
  name: "x",
  kind: "service",
  system: null,
  inferred: false,
  parts,
});

test("a value has one colour on every card, the busiest first", () => {
  const nodes = [node(part("eu", 1), part("us", 5)), node(part("eu", 9), part(null, 2))];
  const styles = partStyles({ nodes }, "light", "ink");
  expect(styles.map((s) => [s.value, s.requests])).toEqual([
    ["eu", 10],
    ["us", 5],
    [null, 2],
  ]);
  const [first, second] = nodes.map((n) => segments(n, styles));
  expect(first?.map((s) => [s.part.value, s.share])).toEqual([
    ["eu", 1 / 6],
    ["us", 5 / 6],
  ]);
  expect(second?.[0]?.color).toBe(first?.[0]?.color);
  expect(second?.at(-1)?.color).toBe("ink");
});

test("more values than colours share that of the rest", () => {
  const many = node(...Array.from({ length: 12 }, (_, i) => part(`v${i}`, 100 - i)));
  const styles = partStyles({ nodes: [many] }, "dark", "ink");
  expect(styles).toHaveLength(COLORED_MAX + 1);
  expect(segments(many, styles).filter((s) => s.color === "ink")).toHaveLength(4);
});

test("a node without parts has no bar", () => {
  expect(segments({ ...node(), parts: undefined as never }, [])).toEqual([]);
});
