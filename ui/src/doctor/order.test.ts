import { expect, test } from "vitest";
import type { Finding } from "../api/types";
import { titleOf, worstFirst } from "./order";

function finding(id: string, more: Partial<Finding>): Finding {
  return {
    id,
    kind: "lost_at_broker",
    severity: "lost",
    hop: { from: "a", to: "b", over: "kinesis", resource: null },
    title: "",
    seen: [],
    why: "",
    unknown: "",
    class: "E2",
    count: 1,
    good: 0,
    sharePermille: 1_000,
    firstSeenUnixNano: "0",
    lastSeenUnixNano: "0",
    lastGoodUnixNano: null,
    fix: [],
    state: "open",
    ...more,
  };
}

test("what is open and cuts traces comes first, what healed last", () => {
  const sorted = worstFirst([
    finding("healed", { state: "healed", count: 90 }),
    finding("note", { severity: "note", count: 50 }),
    finding("few", { count: 2 }),
    finding("many", { count: 20 }),
    finding("partial", { severity: "partial" }),
  ]);
  expect(sorted.map((f) => f.id)).toEqual(["many", "few", "partial", "note", "healed"]);
});

test("a title loses the count that stands beside it, and nothing else", () => {
  expect(titleOf({ title: "10 of 10: messages from a to b" })).toBe("Messages from a to b");
  expect(titleOf({ title: "1 case: messages from a" })).toBe("Messages from a");
  expect(titleOf({ title: "Two spans share an id" })).toBe("Two spans share an id");
});
