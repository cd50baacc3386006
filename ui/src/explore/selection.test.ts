import { expect, test } from "vitest";
import type { TraceSummary } from "../api/types";
import { namedBox } from "./selection";

const RANGE = { from: 0, to: 1_000 };
const made = (count: number, duration: (i: number) => number) =>
  Array.from(
    { length: count },
    (_, i) => ({ durationNano: duration(i), startTimeUnixNano: `${i * 10}000000` }) as TraceSummary,
  );

test("the slowest are a twentieth of the traces", () => {
  const traces = made(100, (i) => i + 1);
  const box = namedBox("slowest", traces, RANGE);
  expect(box).toMatchObject({ from: 0, to: 1_000, shortest: 96 });
  expect(traces.filter((t) => t.durationNano >= (box?.shortest ?? 0))).toHaveLength(5);
});

test("the last quarter is a stretch of time, of any duration", () => {
  expect(
    namedBox(
      "latest",
      made(100, () => 1),
      RANGE,
    ),
  ).toMatchObject({ from: 750, shortest: 0 });
});

test("few or equal traces have no part to be set apart", () => {
  expect(
    namedBox(
      "slowest",
      made(19, (i) => i),
      RANGE,
    ),
  ).toBeNull();
  expect(
    namedBox(
      "slower",
      made(50, () => 7),
      RANGE,
    ),
  ).toBeNull();
  expect(
    namedBox(
      "latest",
      made(30, () => 7),
      RANGE,
    ),
  ).toBeNull();
});
