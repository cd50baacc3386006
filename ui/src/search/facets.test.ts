import { expect, test } from "vitest";
import type { TraceSummary } from "../api/types";
import { facets } from "./facets";

const trace = (services: string[], failed = false): TraceSummary => ({
  traceId: "",
  rootService: services[0] ?? "",
  rootName: "op",
  startTimeUnixNano: "0",
  durationNano: 1,
  spanCount: 1,
  errorCount: failed ? 1 : 0,
  services,
  environment: null,
  failing: failed ? { service: services.at(-1) ?? "", name: "", message: "" } : null,
  rootMissing: false,
  matchedSpans: 1,
});

test("a facet counts traces, not how often a service is in one", () => {
  const found = facets([trace(["a", "b", "b"]), trace(["a"], true)]);
  const of = (name: string) => found.find((f) => f.name === name)?.values;
  expect(of("service")).toEqual([
    { value: "a", traces: 2 },
    { value: "b", traces: 1 },
  ]);
  expect(of("status")).toEqual([
    { value: "error", traces: 1 },
    { value: "ok", traces: 1 },
  ]);
  expect(of("environment")).toBeUndefined();
});
