import { expect, test } from "vitest";
import { areaOf, PAD, pathOf, roundUp, shares, stepAt, topOf, xOf, yOf } from "./plot";

const SIZE = { width: 118, height: 138 };

test("the axis ends at a round number above all values", () => {
  const check = (value: number, top: number) => expect(roundUp(value)).toBeCloseTo(top, 9);
  check(0, 1);
  check(7, 10);
  check(10, 10);
  check(101, 200);
  check(0.03, 0.05);
  expect(topOf([{ label: "", color: "", values: [null, 3, 21] }])).toBe(25);
  expect(topOf([])).toBe(1);
});

test("a line stops where nothing was measured, and a lonely value is a dot", () => {
  expect(pathOf(SIZE, 10, [0, 10, null, 5])).toBe("M20.5 118L45.5 18M95.5 68h0");
  expect(pathOf(SIZE, 10, [null, null])).toBe("");
});

test("the area is closed along the axis", () => {
  expect(areaOf(SIZE, 10, [10, null])).toBe("M33 118L33 18L83 118L83 118Z");
  expect(areaOf(SIZE, 10, [])).toBe("");
});

test("a step is found under the pointer, none beside the plot", () => {
  for (const i of [0, 1, 2, 3]) expect(stepAt(SIZE, 4, xOf(SIZE, 4, i))).toBe(i);
  expect(stepAt(SIZE, 4, PAD.left - 1)).toBeNull();
  expect(stepAt(SIZE, 4, 118)).toBeNull();
  expect(yOf(SIZE, 10, 10)).toBe(PAD.top);
});

test("without a request there is no share of failures", () => {
  expect(shares([1, 0, 2], [2, 0, 2])).toEqual([0.5, null, 1]);
});
