import { expect, test } from "vitest";
import type { TraceView } from "../api/types";
import { packLanes } from "./flame";
import { minimapLines } from "./minimap";
import { findRows, visibleRows } from "./rows";
import { sortLines, statistics } from "./statistics";
import { traceGraph } from "./trace-graph";
import { at, buildTree, selfTime, selfTimes } from "./tree";
import { otlpText, readWhole } from "./whole";

type Row = [
  service: string,
  name: string,
  parent: number,
  start: number,
  duration: number,
  failed?: boolean,
];

function tree(rows: Row[], kinds: number[] = []) {
  const services = [...new Set(rows.map(([service]) => service))];
  const names = [...new Set(rows.map(([, name]) => name))];
  const view: TraceView = {
    traceId: "1",
    startUnixNano: "0",
    durationNano: Math.max(...rows.map(([, , , start, duration]) => start + duration)),
    rootService: "",
    rootName: "",
    environment: null,
    spanCount: rows.length,
    errorCount: 0,
    services,
    names,
    spans: {
      spanId: rows.map((_, i) => `id${i}`),
      parent: rows.map(([, , parent]) => parent),
      missingParent: rows.map(() => ""),
      service: rows.map(([service]) => services.indexOf(service)),
      name: rows.map(([, name]) => names.indexOf(name)),
      kind: rows.map((_, i) => kinds[i] ?? 1),
      status: rows.map((r) => (r[5] ? 2 : 0)),
      start: rows.map((r) => r[3]),
      duration: rows.map((r) => r[4]),
      events: rows.map(() => 0),
      links: rows.map(() => 0),
      statusMessage: rows.map(() => ""),
    },
    eventTimes: [],
  };
  return buildTree(view);
}

const SHOP = tree([
  ["web", "GET /", -1, 0, 100],
  ["pay", "charge", 0, 10, 40],
  ["pay", "charge", 0, 30, 40, true],
  ["db", "SELECT", 1, 12, 5],
  ["pay", "later", 0, 80, 10],
]);

test("what runs at once is in lanes of its own, and beneath its parent", () => {
  const { lane, count, rows } = packLanes(SHOP);
  expect(Array.from(lane)).toEqual([0, 1, 2, 2, 1]);
  expect(count).toBe(3);
  for (const row of rows) {
    for (const other of rows) {
      if (other === row || at(lane, other) !== at(lane, row)) continue;
      const apart =
        at(SHOP.end, row) <= at(SHOP.start, other) || at(SHOP.end, other) <= at(SHOP.start, row);
      expect(apart, `${row} covers ${other}`).toBe(true);
    }
  }
});

test("a subtree alone has its own top lane, and only its own rows", () => {
  expect(Array.from(packLanes(SHOP, 1).rows)).toEqual([1, 3]);
  expect(at(packLanes(SHOP, 1).lane, 1)).toBe(0);
  expect(at(packLanes(SHOP, 1).lane, 0)).toBe(-1);
  expect(Array.from(visibleRows(SHOP, new Uint8Array(5).fill(1), null, 1))).toEqual([1, 3]);
});

test("self times of all rows are those of each", () => {
  const all = selfTimes(SHOP);
  for (let row = 0; row < SHOP.rowCount; row++)
    expect(at(all, row), `row ${row}`).toBe(selfTime(SHOP, row));
});

test("operations add up, and the slowest span stands for its line", () => {
  const lines = sortLines(SHOP, statistics(SHOP, "operation"), "total", false);
  expect(lines.map((l) => [l.service, l.name, l.count, l.errors, l.total])).toEqual([
    ["web", "GET /", 1, 0, 100],
    ["pay", "charge", 2, 1, 80],
    ["pay", "later", 1, 0, 10],
    ["db", "SELECT", 1, 0, 5],
  ]);
  expect(statistics(SHOP, "service").map((l) => l.service)).toEqual(["web", "pay", "db"]);
  expect(statistics(SHOP, "span")).toHaveLength(5);
});

test("a trace's map counts what enters a service, and tells messages apart", () => {
  const map = traceGraph(SHOP);
  expect(map.nodes.map((n) => [n.name, n.requests, n.errors])).toEqual([
    ["web", 1, 0],
    ["pay", 3, 1],
    ["db", 1, 0],
  ]);
  expect(map.edges.map((e) => [e.from, e.to, e.requests, e.kind])).toEqual([
    ["web", "pay", 3, "sync"],
    ["pay", "db", 1, "sync"],
  ]);
  const sent = tree(
    [
      ["a", "send", -1, 0, 1],
      ["b", "take", 0, 2, 1],
    ],
    [4, 5],
  );
  expect(traceGraph(sent).edges[0]?.kind).toBe("async");
});

test("attributes of span, resource and event are found by key=value", () => {
  const whole = readWhole({
    resourceSpans: [
      {
        resource: { attributes: [{ key: "host.name", value: { stringValue: "H1" } }] },
        scopeSpans: [
          {
            spans: [
              { spanId: "id1", attributes: [{ key: "retries", value: { intValue: "3" } }] },
              {
                spanId: "id3",
                events: [
                  { name: "late", timeUnixNano: "20" },
                  { name: "early", timeUnixNano: "9" },
                ],
                links: [{ traceId: "t", spanId: "s" }],
              },
            ],
          },
        ],
      },
    ],
  });
  expect(findRows(SHOP, "Retries=3", whole.texts)).toEqual([1]);
  expect(findRows(SHOP, "host.name=h1", whole.texts)).toEqual([1, 3]);
  expect(findRows(SHOP, "early", whole.texts)).toEqual([3]);
  expect(whole.events.map((e) => e.name)).toEqual(["early", "late"]);
  expect(whole.links).toEqual([{ from: "id3", traceId: "t", spanId: "s" }]);
});

test("every form of a value is text", () => {
  expect(otlpText({ arrayValue: { values: [{ intValue: "1" }, { boolValue: false }] } })).toBe(
    "[1, false]",
  );
  expect(otlpText({ kvlistValue: { values: [{ key: "a", value: { doubleValue: 1.5 } }] } })).toBe(
    "{a=1.5}",
  );
  expect(otlpText({})).toBe("");
  expect(otlpText(undefined)).toBe("");
});

test("the strip shows the last span of each place, neighbours of one service as one line", () => {
  const said = (steps: number, levels: number) =>
    minimapLines(SHOP, steps, levels).map(
      ({ level, from, to, service }) => `${level}: ${from}-${to} ${SHOP.view.services[service]}`,
    );
  expect(said(100, 3)).toEqual(["0: 0-100 web", "1: 10-70 pay", "1: 80-90 pay", "2: 12-17 db"]);
  // A span that is shorter than a step has one; what is too deep lies on the last level.
  expect(said(10, 2)).toEqual(["0: 0-10 web", "1: 1-2 db", "1: 2-7 pay", "1: 8-9 pay"]);
  const many = tree(Array.from({ length: 500 }, (_, i) => [`s${i % 2}`, "x", -1, i, 1]));
  expect(minimapLines(many, 20, 4)).toHaveLength(20);
  expect(minimapLines(many, 0, 4)).toEqual([]);
});
