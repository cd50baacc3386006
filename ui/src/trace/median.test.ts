import { expect, test } from "vitest";
import type { TraceSummary } from "../api/types";
import { medianOf } from "./median";

test("the median is a trace, the shorter of two in the middle", () => {
  const check = (durations: number[], expected: number | undefined) =>
    expect(
      medianOf(durations.map((durationNano) => ({ durationNano }) as TraceSummary))?.durationNano,
    ).toBe(expected);
  check([5, 1, 3], 3);
  check([4, 1, 3, 2], 2);
  check([7], 7);
  check([], undefined);
});
