import { expect, test } from "vitest";
import { keyed } from "./rejected";

test("a row keeps its key when newer ones arrive, also within one nanosecond", () => {
  const row = (timeUnixNano: string, detail: string) => ({ timeUnixNano, detail });
  const before = [row("2", "b"), row("2", "a"), row("1", "z")];
  const after = [row("3", "d"), row("2", "c"), ...before];
  const keys = new Map(keyed(after).map(({ key, row }) => [row.detail, key]));
  for (const { key, row } of keyed(before)) expect(keys.get(row.detail)).toBe(key);
  expect(new Set(keys.values()).size).toBe(after.length);
});
