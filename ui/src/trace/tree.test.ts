import { expect, test } from "vitest";
import type { TraceView } from "../api/types";
import { criticalPath, criticalRows } from "./critical-path";
import { findRows, openAtFirst, reveal, sibling, visibleRows, withAncestors } from "./rows";
import { buildTree, failingLeaves, missingReason, pathTo, selfTime, spanIdOf } from "./tree";

interface Made {
  parent: number;
  start: number;
  duration: number | null;
  status?: number;
  missing?: string;
  kind?: number;
  name?: string;
}

function view(rows: Made[]): TraceView {
  const names = [...new Set(rows.map((r) => r.name ?? "op"))];
  return {
    traceId: "0".repeat(31).concat("1"),
    startUnixNano: "0",
    durationNano: Math.max(...rows.map((r) => r.start + (r.duration ?? 0))),
    rootService: "web",
    rootName: "op",
    environment: null,
    spanCount: rows.length,
    errorCount: 0,
    services: ["web"],
    names,
    spans: {
      spanId: rows.map((_, i) => i.toString(16).padStart(16, "0")),
      parent: rows.map((r) => r.parent),
      missingParent: rows.map((r) => r.missing ?? ""),
      service: rows.map(() => 0),
      name: rows.map((r) => names.indexOf(r.name ?? "op")),
      kind: rows.map((r) => r.kind ?? 1),
      status: rows.map((r) => r.status ?? 0),
      start: rows.map((r) => r.start),
      duration: rows.map((r) => r.duration),
      events: rows.map(() => 0),
      links: rows.map(() => 0),
      statusMessage: rows.map(() => ""),
    },
    eventTimes: [],
  };
}

const SMALL = view([
  { parent: -1, start: 0, duration: 100 },
  { parent: 0, start: 50, duration: 40, status: 2, name: "late" },
  { parent: 0, start: 10, duration: 30, name: "early" },
  { parent: 1, start: 55, duration: 20, status: 2, name: "charge" },
]);

test("rows come parents first, siblings by start", () => {
  const tree = buildTree(SMALL);
  expect([...tree.preorder]).toEqual([0, 2, 1, 3]);
  expect([...tree.depth]).toEqual([0, 1, 1, 2]);
  expect([...tree.size]).toEqual([4, 2, 1, 1]);
  expect(pathTo(tree, 3)).toEqual([0, 1, 3]);
  expect(sibling(tree, 2, 1)).toBe(1);
  expect(sibling(tree, 2, -1)).toBe(-1);
});

test("the failing leaf is where nothing beneath failed", () => {
  expect(failingLeaves(buildTree(SMALL))).toEqual([3]);
});

test("a span whose parent is lost hangs under a placeholder, not nowhere", () => {
  const lost = "00f067aa0ba902b7";
  const tree = buildTree(
    view([
      { parent: -1, start: 0, duration: 100 },
      { parent: -1, start: 40, duration: 10, missing: lost, kind: 2 },
      { parent: -1, start: 60, duration: 10, missing: lost, kind: 2 },
    ]),
  );
  expect(tree.rowCount).toBe(4);
  expect([...tree.preorder]).toEqual([0, 3, 1, 2]);
  expect([tree.start[3], tree.end[3]]).toEqual([40, 70]);
  expect(spanIdOf(tree, 3)).toBe(lost);
  expect(missingReason(tree, 3, 5_000)).toBe("young");
  expect(missingReason(tree, 3, 500_000)).toBe("caller");
});

test("a clock that lies and a span without an end are drawn inside the trace", () => {
  const tree = buildTree(
    view([
      { parent: -1, start: 0, duration: 100 },
      { parent: 0, start: 40, duration: -38 },
      { parent: 0, start: 60, duration: null },
    ]),
  );
  expect([tree.start[1], tree.end[1]]).toEqual([40, 40]);
  expect(tree.end[2]).toBe(100);
});

test("self time counts overlapping children once", () => {
  const tree = buildTree(
    view([
      { parent: -1, start: 0, duration: 100 },
      { parent: 0, start: 10, duration: 40 },
      { parent: 0, start: 30, duration: 40 },
      { parent: 0, start: 90, duration: 50 },
    ]),
  );
  expect(selfTime(tree, 0)).toBe(30);
});

test("the critical path covers the root's time exactly once", () => {
  const tree = buildTree(SMALL);
  const path = criticalPath(tree);
  expect(path.reduce((sum, s) => sum + s.to - s.from, 0)).toBe(100);
  expect([...criticalRows(path, tree.rowCount)]).toEqual([1, 1, 1, 1]);
});

test("what outlives its parent held nobody up", () => {
  const tree = buildTree(
    view([
      { parent: -1, start: 0, duration: 100 },
      { parent: 0, start: 50, duration: 500 },
    ]),
  );
  expect(criticalPath(tree).filter((s) => s.row === 1)).toEqual([]);
});

test("a large trace opens folded but for what failed", () => {
  const rows: Made[] = [{ parent: -1, start: 0, duration: 1000 }];
  rows.push(
    { parent: 0, start: 0, duration: 100 },
    { parent: 0, start: 200, duration: 700, status: 2 },
  );
  for (let i = 0; i < 300; i++) rows.push({ parent: 1, start: i / 10, duration: 1 });
  for (let i = 0; i < 300; i++)
    rows.push({ parent: 2, start: 200 + i, duration: 1, status: i === 7 ? 2 : 0 });
  const tree = buildTree(view(rows));
  const open = openAtFirst(tree, new Uint8Array(tree.rowCount));
  const shown = visibleRows(tree, open, null);
  expect(shown.length).toBe(3 + 300);
  expect([...visibleRows(tree, reveal(tree, open, 5), null)].includes(5)).toBe(true);
});

test("finding filters to the hits and what is above them", () => {
  const tree = buildTree(SMALL);
  const hits = findRows(tree, "CHARGE");
  expect(hits).toEqual([3]);
  expect([...visibleRows(tree, new Uint8Array(4), withAncestors(tree, hits))]).toEqual([0, 1, 3]);
  expect(findRows(tree, "  ")).toEqual([]);
});

test("twenty thousand spans are laid out without a stack", () => {
  const rows: Made[] = [];
  for (let i = 0; i < 20_000; i++) rows.push({ parent: i - 1, start: i, duration: 20_000 - i });
  const tree = buildTree(view(rows));
  expect(tree.preorder.length).toBe(20_000);
  expect(tree.depth[19_999]).toBe(19_999);
  expect(criticalPath(tree).length).toBeGreaterThan(0);
});
