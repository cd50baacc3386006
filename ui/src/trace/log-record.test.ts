import { describe, expect, it } from "vitest";
import type { LogRecord } from "../api/types";
import { bodyText, merged, severityWord } from "./log-record";

const record = (changes: Partial<LogRecord>): LogRecord => ({
  timeUnixNano: "1",
  spanId: "",
  service: "",
  severity: "unspecified",
  severityNumber: 0,
  severityText: "",
  eventName: "",
  body: null,
  attributes: [],
  scope: "",
  ...changes,
});

describe("log records", () => {
  it("are read as what they say", () => {
    expect(bodyText(record({ body: "no money" }))).toBe("no money");
    expect(bodyText(record({ body: { code: 7 } }))).toBe('{"code":7}');
    expect(bodyText(record({ body: 0 }))).toBe("0");
    expect(bodyText(record({}))).toBe("");
    expect(severityWord(record({}))).toBe("");
    expect(severityWord(record({ severity: "warn" }))).toBe("warn");
    expect(severityWord(record({ severity: "warn", severityText: "WARNING" }))).toBe("warning");
  });

  it("stand among events in the order of time", () => {
    const at = (name: string, ...offsets: number[]) => offsets.map((offset) => ({ name, offset }));
    const text = (all: { name: string; offset: number }[]) =>
      all.map((one) => `${one.name}${one.offset}`).join(" ");
    expect(text(merged(at("e", 1, 3, 5), at("l", 0, 3, 4)))).toBe("l0 e1 e3 l3 l4 e5");
    expect(text(merged(at("e"), at("l", 2)))).toBe("l2");
    expect(text(merged(at("e", 2), at("l")))).toBe("e2");
  });
});
