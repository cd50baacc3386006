import { expect, test } from "vitest";
import { clampZoom, labelPlace, namesWidth, shownRange, timeX, zoomAt } from "./geometry";

const frame = { width: 1000, names: 300, depth: 0, zoom: [0, 1] as const };

test("the whole trace fills the time column", () => {
  expect(timeX(frame, 100, 0)).toBe(312);
  expect(timeX(frame, 100, 100)).toBe(988);
  expect(timeX({ ...frame, zoom: [0.5, 1] }, 100, 50)).toBe(312);
});

test("a duration is never written outside the frame", () => {
  expect(labelPlace(frame, { x: 400, width: 50, shown: true }, 40)).toMatchObject({ x: 456 });
  expect(labelPlace(frame, { x: 700, width: 280, shown: true }, 40)).toMatchObject({
    x: 694,
    align: "right",
    inside: false,
  });
  expect(labelPlace(frame, { x: 310, width: 680, shown: true }, 40)).toMatchObject({
    inside: true,
  });
});

test("zooming keeps the moment under the pointer", () => {
  const [from, to] = zoomAt([0, 1], 0.25, 0.5);
  expect((0.25 - from) / (to - from)).toBeCloseTo(0.25);
  expect(clampZoom(-0.2, 0.3)).toEqual([0, 0.5]);
  expect(zoomAt([0.9, 1], 1, 20)).toEqual([0, 1]);
});

test("only rows in view are drawn", () => {
  expect(shownRange(2600, 520, 20_000)).toEqual({ first: 99, last: 121 });
  expect(shownRange(0, 520, 3)).toEqual({ first: 0, last: 3 });
  expect(namesWidth(1070)).toBe(385);
});
