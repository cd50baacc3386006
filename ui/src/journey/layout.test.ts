import { expect, test } from "vitest";
import type { Join, Journey, JourneySpan } from "../api/types";
import { buildAxis, idleStretches, layoutJourney, leastSure, union } from "./layout";

const MS = 1e6;
const START = 1_795_284_565_170_000_000n;

function span(
  spanId: string,
  atMs: number,
  forMs: number | null,
  parentSpanId?: string,
): JourneySpan {
  const startTimeUnixNano = String(START + BigInt(atMs * MS));
  const durationNano = forMs === null ? null : forMs * MS;
  return {
    spanId,
    ...(parentSpanId ? { parentSpanId } : {}),
    service: `service-${spanId}`,
    name: spanId,
    kind: "internal",
    startTimeUnixNano,
    durationNano,
    error: false,
  };
}

function join(id: string, fromTraceId: string, toTraceId: string, toSpanId: string): Join {
  return {
    id,
    fromTraceId,
    fromSpanId: "a",
    toTraceId,
    toSpanId,
    carrier: "kinesis",
    resource: "orders",
    key: "123",
    evidence: [],
    class: "E2",
    confidence: 0.98,
    waitNano: 1,
    attempt: 1,
    moved: false,
    replay: false,
    failed: false,
    hops: 1,
    share: "own",
    sharedBy: 1,
    followed: true,
  };
}

function journey(
  traces: Record<string, JourneySpan[]>,
  joins: Join[] = [],
  totalMs = 1_000,
): Journey {
  return {
    traces: Object.entries(traces).map(([traceId, spans], hops) => ({
      traceId,
      hops,
      onPath: true,
      sharedBy: 1,
      spanCount: spans.length,
      spans,
    })),
    joins,
    groups: [],
    origins: [],
    waits: [],
    attempts: [],
    refused: [],
    startTimeUnixNano: String(START),
    durationNano: totalMs * MS,
    truncated: false,
    limits: [],
    complete: true,
    gaps: [],
  };
}

const shape = (j: Journey) =>
  layoutJourney(j).map((m) => [
    m.trace.traceId,
    ...m.rows.map((r) => `${r.depth}${r.span.spanId}`),
  ]);

test("traces come by their first span, whatever order they were sent in", () => {
  const late = [span("a", 500, 10)];
  const early = [span("b", 0, 10)];
  expect(shape(journey({ late, early }))).toEqual([
    ["early", "0b"],
    ["late", "0a"],
  ]);
});

test("parents come before children and siblings by start", () => {
  const t = [span("c", 9, 1, "a"), span("b", 5, 1, "a"), span("d", 6, 1, "b"), span("a", 0, 20)];
  expect(shape(journey({ t }))).toEqual([["t", "0a", "1b", "2d", "1c"]]);
});

test("a span whose parent is elsewhere is a root, and a loop of parents loses no span", () => {
  const t = [span("a", 0, 1, "gone"), span("b", 1, 1, "c"), span("c", 2, 1, "b")];
  expect(shape(journey({ t }))).toEqual([["t", "0a", "0b", "1c"]]);
});

test("a message from another trace belongs to the trace, one from the same trace to its span", () => {
  const j = journey({ p: [span("a", 0, 1)], c: [span("b", 9, 1), span("d", 9, 1, "b")] }, [
    join("1", "p", "c", "b"),
    join("2", "c", "c", "d"),
  ]);
  const consumer = layoutJourney(j)[1];
  expect(consumer?.joins.map((x) => x.id)).toEqual(["1"]);
  expect(consumer?.rows.map((r) => r.joins.map((x) => x.id))).toEqual([[], ["2"]]);
});

test("work counts time in which several spans ran once", () => {
  const j = journey({ t: [span("a", 0, 10), span("b", 5, 10, "a"), span("c", 40, 1, "a")] });
  expect(layoutJourney(j)[0]?.work).toBe(16 * MS);
  expect(
    union([
      { start: 5, end: 9 },
      { start: 0, end: 6 },
    ]),
  ).toEqual([{ from: 0, to: 9 }]);
});

test("a long wait between two traces is shortened", () => {
  const j = journey({ p: [span("a", 0, 10)], c: [span("b", 980, 20)] });
  const idle = idleStretches(layoutJourney(j), j.durationNano);
  expect(idle).toEqual([{ from: 10 * MS, to: 980 * MS }]);
});

test("a short pause is not shortened, nor is time in which a span still runs", () => {
  const pause = journey({ p: [span("a", 0, 400)], c: [span("b", 500, 500)] });
  expect(idleStretches(layoutJourney(pause), pause.durationNano)).toEqual([]);
  const runs = journey({ p: [span("a", 0, null)], c: [span("b", 980, 20)] });
  expect(idleStretches(layoutJourney(runs), runs.durationNano)).toEqual([]);
});

test("the axis is linear outside its bands, never goes back, and fills the width", () => {
  const axis = buildAxis(1_000, [{ from: 10, to: 980 }], 396);
  expect(axis.bands).toEqual([{ left: 100, width: 96, nanos: 970 }]);
  expect([0, 5, 10, 495, 980, 990, 1_000].map(axis.x)).toEqual([0, 50, 100, 148, 196, 296, 396]);
  expect([-5, 2_000].map(axis.x)).toEqual([0, 396]);
});

test("an axis without bands, and one of no time at all, stay finite", () => {
  expect(buildAxis(1_000, [], 500).x(500)).toBe(250);
  expect(Number.isFinite(buildAxis(0, [], 500).x(0))).toBe(true);
});

test("the join to doubt is the one least sure, of several the first", () => {
  const of = (id: string, confidence: number) => ({ ...join(id, "a", "b", "c"), confidence });
  expect(leastSure([of("one", 0.98), of("two", 0.95), of("three", 0.95)])?.id).toBe("two");
  expect(leastSure([])).toBeNull();
});
