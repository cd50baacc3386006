import { expect, test } from "vitest";
import type { Attribute, SpanDetail } from "../api/types";
import { xrayWords } from "./xray";

const attribute = (key: string, value: unknown): Attribute => ({
  key,
  type: typeof value === "boolean" ? "bool" : typeof value === "number" ? "double" : "string",
  value,
});

function span(attributes: Record<string, unknown>, durationNano: number | null = 1): SpanDetail {
  return {
    durationNano,
    attributes: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    resource: [attribute("xray.origin", "AWS::EC2::Instance")],
  } as SpanDetail;
}

test("a span that is no segment is left as it is", () => {
  expect(xrayWords(span({ "annotation.a": 1 }))).toBeNull();
});

test("a segment's parts go where X-Ray has them, and nothing is lost", () => {
  const words = xrayWords(
    span({
      "xray.type": "subsegment",
      "xray.namespace": "aws",
      "xray.fault": true,
      "xray.error": false,
      "annotation.email": "a@b.c",
      "metadata.default": '{"a":[1]}',
      "xray.extra": '{"x":1}',
      "aws.table_name": "t",
    }),
  );
  expect(words).toMatchObject({
    type: "subsegment",
    origin: "",
    namespace: "aws",
    flags: ["fault"],
    isInProgress: false,
    annotations: [{ key: "email", value: "a@b.c" }],
    metadata: [{ name: "default", text: '{\n  "a": [\n    1\n  ]\n}' }],
    raw: [{ name: "xray.extra" }],
    rest: [{ key: "aws.table_name" }],
  });
});

test("a segment says where it ran, and one without an end is in progress", () => {
  expect(xrayWords(span({ "xray.type": "segment" }))?.origin).toBe("AWS::EC2::Instance");
  expect(xrayWords(span({ "xray.type": "segment" }, null))?.isInProgress).toBe(true);
});

test("metadata is set in lines, and every value stays letter by letter", () => {
  const check = (text: string, shown: string) =>
    expect(xrayWords(span({ "xray.type": "segment", "metadata.n": text }))?.metadata).toEqual([
      { name: "n", text: shown },
    ]);
  check('{"id":12345678901234567890,"n":1.0}', '{\n  "id": 12345678901234567890,\n  "n": 1.0\n}');
  check('{"a":{},"b":[],"c":"{,: \\" }"}', '{\n  "a": {},\n  "b": [],\n  "c": "{,: \\" }"\n}');
  check("{broken", "{broken");
  check("7", "7");
});
