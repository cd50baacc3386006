import { expect, test } from "vitest";
import type { Join, Journey } from "../api/types";
import type { TraceId } from "../model/ids";
import { rowJoins } from "./row-joins";
import type { TraceTree } from "./tree";

const HERE = "a".repeat(32) as TraceId;
const OTHER = "b".repeat(32);
const tree = { view: { spans: { spanId: ["1", "2"] } } } as TraceTree;
const join = (from: [string, string], to: [string, string], joinClass: string) =>
  ({
    fromTraceId: from[0],
    fromSpanId: from[1],
    toTraceId: to[0],
    toSpanId: to[1],
    class: joinClass,
  }) as Join;
const journey = (...joins: Join[]) => ({ joins }) as Journey;

test("a row says whether messages came to it or left it, and the weakest evidence", () => {
  const found = rowJoins(
    tree,
    HERE,
    journey(
      join([HERE, "1"], [OTHER, "9"], "E2"),
      join([HERE, "1"], [OTHER, "8"], "E3"),
      join([OTHER, "9"], [HERE, "2"], "E5"),
      join([OTHER, "9"], [OTHER, "8"], "E0"),
      join([HERE, "gone"], [OTHER, "8"], "E0"),
    ),
  );
  expect([...found]).toEqual([
    [0, { arrives: false, leaves: true, joinClass: "E3", stroke: "dashed", messages: 2 }],
    [1, { arrives: true, leaves: false, joinClass: "E5", stroke: "dotted", messages: 1 }],
  ]);
});

test("a message within the trace has two rows", () => {
  const found = rowJoins(tree, HERE, journey(join([HERE, "1"], [HERE, "2"], "E1")));
  expect(found.get(0)?.leaves && found.get(1)?.arrives).toBe(true);
  expect(rowJoins(tree, HERE, null).size).toBe(0);
});
