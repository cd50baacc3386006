import { expect, test } from "vitest";
import type { TraceSummary } from "../api/types";
import {
  axesFor,
  boxBetween,
  cells,
  decades,
  formatBox,
  isInside,
  moments,
  parseBox,
  toX,
  toY,
} from "./chart";

const trace = (ms: number, ns: number, errors = 0) =>
  ({ startTimeUnixNano: `${ms}000000`, durationNano: ns, errorCount: errors }) as TraceSummary;
const traces = [trace(1_000, 2e6), trace(5_000, 3e8, 1)];
const axes = axesFor(traces, { from: 0, to: 10_000 }, 1_012, 112);

test("the axes hold every trace, from decade to decade", () => {
  expect([axes.shortest, axes.longest]).toEqual([1e6, 1e9]);
  expect(decades(axes)).toEqual([1e6, 1e7, 1e8, 1e9]);
  expect(toX(axes, 5_000)).toBe(506);
  expect(toY(axes, 1e6)).toBe(106);
  expect(toY(axes, 1e9)).toBeCloseTo(6);
  expect(moments(axes)[1]).toBe(5_000);
});

test("a box between two corners holds what is drawn between them", () => {
  const box = boxBetween(axes, { x: 600, y: 60 }, { x: 400, y: 6 });
  expect(isInside(box, traces[1] as TraceSummary)).toBe(true);
  expect(isInside(box, traces[0] as TraceSummary)).toBe(false);
  expect(parseBox(formatBox(box))).toEqual(box);
});

test("what is no box is none", () => {
  for (const text of [null, "", "1,2,3", "2,1,3,4", "a,b,c,d", "1,2,3,4,5"]) {
    expect(parseBox(text), String(text)).toBeNull();
  }
});

test("a result of one trace has axes too", () => {
  const one = axesFor([trace(1, 1e6)], { from: 0, to: 2 }, 100, 100);
  expect(one.longest).toBeGreaterThan(one.shortest);
  expect(axesFor([], { from: 0, to: 2 }, 100, 100).longest).toBeGreaterThan(0);
});

test("cells count traces and those that failed", () => {
  const found = cells(axes, [...traces, trace(5_001, 3e8)], 20, 20);
  expect(found.map((c) => [c.traces, c.errors])).toEqual([
    [1, 0],
    [2, 1],
  ]);
});
