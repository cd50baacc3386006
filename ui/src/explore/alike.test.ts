import { expect, test } from "vitest";
import type { Difference } from "../api/types";
import { alike } from "./alike";

test("values that count the same are one group, in the order of the first", () => {
  const difference = (key: string, inside: number, outside: number) =>
    ({ scope: "span", key, value: "v", inside, outside }) as Difference;
  const found = alike([
    difference("service", 9, 1),
    difference("tenant", 5, 0),
    difference("host", 9, 1),
    difference("other", 9, 0),
  ]);
  expect(found.map((group) => group.map((d) => d.key))).toEqual([
    ["service", "host"],
    ["tenant"],
    ["other"],
  ]);
});
