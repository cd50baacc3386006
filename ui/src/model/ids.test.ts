import { expect, test } from "vitest";
import { findTraceId, parseSpanId, parseTraceId, xrayTraceId } from "./ids";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const check = (text: string, trace: string | null, span: string | null = null) =>
  expect(findTraceId(text), text).toEqual(trace && { traceId: trace, spanId: span });

test("an id of any form leads to the trace", () => {
  check(ID, ID);
  check(`  ${ID.toUpperCase()}\n`, ID);
  check("1-4bf92f35-77b34da6a3ce929d0e0e4736", ID);
  check("463ac35c9f6413ad", "0000000000000000463ac35c9f6413ad");
  check("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", ID);
});

test("a whole header leads to the span", () => {
  check(`00-${ID}-00f067aa0ba902b7-01`, ID, "00f067aa0ba902b7");
  check(`traceparent: 00-${ID}-00f067aa0ba902b7-01`, ID, "00f067aa0ba902b7");
  check(
    "X-Amzn-Trace-Id: Self=1-67891234-12456789abcdef012345678;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=53995c3f42cd8ad8;Sampled=1",
    ID,
    "53995c3f42cd8ad8",
  );
  check("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Sampled=0", ID);
  check(`b3: ${ID}-00f067aa0ba902b7-1`, ID, "00f067aa0ba902b7");
});

test("a text with an id in it leads to the trace", () => {
  check(`2026-11-21 ERROR [trace_id=${ID}] payment declined`, ID);
  check(`https://jaeger.example/trace/${ID}?uiFind=x`, ID);
});

test("what is no id is left to the query", () => {
  check('service = "checkout"', null);
  check("0".repeat(32), null);
  check(`${ID}ff`, null);
  check("", null);
  check("see 463ac35c9f6413ad", null);
});

test("a span id is sixteen hex digits", () => {
  expect(parseSpanId("00F067AA0BA902B7")).toBe("00f067aa0ba902b7");
  expect(parseSpanId("x")).toBeNull();
});

test("an id goes into X-Ray's form and back", () => {
  const id = parseTraceId("5759e988bd862e3fe1be46a994272793");
  expect(id && xrayTraceId(id)).toBe("1-5759e988-bd862e3fe1be46a994272793");
  expect(id && parseTraceId(xrayTraceId(id))).toBe(id);
});
