import { expect, test } from "vitest";
import type { SpanDetail } from "../api/types";
import { findingOf } from "./exception";

const span = (more: Partial<SpanDetail>): SpanDetail => ({
  spanId: "00f067aa0ba902b7",
  parentSpanId: "",
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  name: "op",
  kind: "client",
  service: "payments",
  startUnixNano: "0",
  durationNano: 1,
  status: { code: "unset", message: "" },
  traceState: "",
  flags: 1,
  attributes: [],
  resource: [],
  scope: { name: "", version: "", attributes: [] },
  events: [],
  links: [],
  droppedAttributes: 0,
  droppedEvents: 0,
  droppedLinks: 0,
  ...more,
});
const exception = (stack: string) => ({
  name: "exception",
  timeUnixNano: "0",
  offsetNano: 0,
  attributes: [
    { key: "exception.type", type: "string" as const, value: "Declined" },
    { key: "exception.message", type: "string" as const, value: "no" },
    { key: "exception.stacktrace", type: "string" as const, value: stack },
  ],
});

test("a span that did not fail has no finding", () => {
  expect(findingOf(span({}))).toBeNull();
});

test("a failure without an exception is its status message", () => {
  expect(findingOf(span({ status: { code: "error", message: "503" } }))?.message).toBe("503");
});

test("the program's own frames come apart from its libraries'", () => {
  const found = findingOf(
    span({
      events: [exception("Declined: no\n  at A.b (a.ts:1:2)\n  at x (node:internal/y:3:4)")],
    }),
  );
  expect(found).toEqual({
    title: "Declined",
    message: "no",
    own: ["at A.b (a.ts:1:2)"],
    library: ["at x (node:internal/y:3:4)"],
  });
});
