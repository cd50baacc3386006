import { expect, test } from "vitest";
import type { TraceView } from "../api/types";
import { buildTree, selfTimes } from "../trace/tree";
import {
  align,
  blame,
  changeOf,
  differing,
  gap,
  newFailures,
  openAtFirst,
  shownLines,
} from "./align";

/** Rows as `[parent, name, start, duration, failed?]`; the service is what stands before a slash. */
type Made = readonly [number, string, number, number, boolean?];

function half(rows: readonly Made[], missing = "") {
  const services = [...new Set(rows.map(([, n]) => n.split("/")[0] ?? ""))];
  const names = [...new Set(rows.map(([, n]) => n.split("/")[1] ?? ""))];
  const view: TraceView = {
    traceId: "0".repeat(31).concat("1"),
    startUnixNano: "0",
    durationNano: Math.max(...rows.map(([, , start, duration]) => start + duration)),
    rootService: "",
    rootName: "",
    environment: null,
    spanCount: rows.length,
    errorCount: 0,
    services,
    names,
    spans: {
      spanId: rows.map((_, i) => i.toString(16).padStart(16, "0")),
      parent: rows.map(([parent]) => parent),
      missingParent: rows.map((_, i) => (i === 0 ? missing : "")),
      service: rows.map(([, n]) => services.indexOf(n.split("/")[0] ?? "")),
      name: rows.map(([, n]) => names.indexOf(n.split("/")[1] ?? "")),
      kind: rows.map(() => 1),
      status: rows.map(([, , , , failed]) => (failed ? 2 : 0)),
      start: rows.map(([, , start]) => start),
      duration: rows.map(([, , , duration]) => duration),
      events: rows.map(() => 0),
      links: rows.map(() => 0),
      statusMessage: rows.map(() => ""),
    },
    eventTimes: [],
  };
  const tree = buildTree(view);
  return { tree, self: selfTimes(tree) };
}

const FAST = half([
  [-1, "web/get", 0, 100],
  [0, "shop/list", 10, 60],
  [1, "db/select", 20, 10],
  [0, "cache/get", 75, 5],
]);
const SLOW = half([
  [-1, "web/get", 0, 400],
  [0, "shop/list", 10, 360],
  [1, "db/select", 20, 100, true],
  [1, "db/select", 60, 100],
  [1, "db/insert", 300, 50],
]);

const said = (a: ReturnType<typeof half>, b: ReturnType<typeof half>) => {
  const { lines } = align(a, b);
  return lines.map(
    (l) =>
      `${" ".repeat(l.depth)}${l.service}/${l.name} ${l.a?.rows.length ?? 0}:${l.b?.rows.length ?? 0}`,
  );
};

test("spans of one service and operation under one parent stand in one line, with their counts", () => {
  expect(said(FAST, SLOW)).toEqual([
    "web/get 1:1",
    " shop/list 1:1",
    "  db/select 1:2",
    "  db/insert 0:1",
    " cache/get 1:0",
  ]);
});

test("what ran at the same time counts once, and failures are counted", () => {
  const select = align(FAST, SLOW).lines[2];
  expect(select?.b).toMatchObject({ busy: 140, self: 200, errors: 1, from: 20, to: 160 });
  expect(select && gap(select)).toBe(130);
});

test("a line is new, gone, slower, faster or the same", () => {
  const { lines } = align(FAST, SLOW);
  expect(lines.map((l) => changeOf(l, 400))).toEqual(["slower", "slower", "slower", "new", "gone"]);
  const back = align(SLOW, FAST).lines;
  expect(back.map((l) => changeOf(l, 400))).toContain("faster");
  expect(align(SLOW, SLOW).lines.every((l) => changeOf(l, 400) === "same")).toBe(true);
});

test("the difference is blamed on the line whose own time grew most", () => {
  const { lines } = align(FAST, SLOW);
  const found = blame(lines, 300, 400);
  expect(found?.line.name).toBe("select");
  expect(found?.ns).toBe(190);
  expect(blame(lines, -300, 400)).toBeNull();
  expect(blame(align(FAST, FAST).lines, 0, 100)).toBeNull();
  // Two that are equally long may still differ inside.
  expect(blame(lines, 0, 400)?.ns).toBe(190);
});

test("one root each is paired whatever it is called", () => {
  const other = half([[-1, "web/post", 0, 50]]);
  const [root] = align(FAST, other).lines;
  expect(root).toMatchObject({ name: "get", other: { service: "web", name: "post" } });
  const two = half([
    [-1, "web/post", 0, 50],
    [-1, "web/get", 0, 50],
  ]);
  expect(said(FAST, two).slice(0, 1)).toEqual(["web/get 1:1"]);
});

test("parents that were not received are one line, and a limit is kept", () => {
  const lost = half([[-1, "web/get", 0, 100]], "00000000000000aa");
  expect(said(lost, lost)).toEqual(["/ 1:1", " web/get 1:1"]);
  expect(align(FAST, SLOW, 3)).toMatchObject({ truncated: true, lines: { length: 3 } });
});

test("few lines are all open; of many, those that lead to a change", () => {
  const many = (extra: Made[]) =>
    half([
      [-1, "web/get", 0, 1000],
      [0, "a/same", 0, 10],
      ...Array.from({ length: 70 }, (_, i): Made => [1, `a/op${i}`, i, 1]),
      [0, "b/call", 500, 100],
      ...extra,
    ]);
  const { lines } = align(many([]), many([[72, "b/late", 510, 50]]));
  const changes = lines.map((l) => changeOf(l, 1000));
  const open = openAtFirst(lines, changes);
  const shown = shownLines(lines, open, null).map((i) => lines[i]?.name);
  expect(shown).toEqual(["get", "same", "call", "late"]);
  const only = differing(lines, changes);
  expect(shownLines(lines, open, only).map((i) => lines[i]?.name)).toEqual(["get", "call", "late"]);
  expect(openAtFirst(align(FAST, SLOW).lines, [])).toEqual([true, true, true, true, true]);
});

test("of new failures only the lowest is told", () => {
  const good = half([
    [-1, "web/get", 0, 10],
    [0, "shop/list", 0, 10],
  ]);
  const bad = half([
    [-1, "web/get", 0, 10, true],
    [0, "shop/list", 0, 10, true],
  ]);
  expect([...newFailures(align(good, bad).lines)]).toEqual([1]);
  expect(newFailures(align(bad, good).lines).size).toBe(0);
  expect(newFailures(align(bad, bad).lines).size).toBe(0);
});

test("a subtree that came as a whole is one difference", () => {
  const small = half([[-1, "web/get", 0, 100]]);
  const large = half([
    [-1, "web/get", 0, 100],
    [0, "tax/post", 10, 20],
    [1, "db/select", 12, 5],
  ]);
  const { lines } = align(small, large);
  expect(
    [
      ...differing(
        lines,
        lines.map((l) => changeOf(l, 100)),
      ),
    ].sort(),
  ).toEqual([0, 1]);
});
