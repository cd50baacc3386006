import { expect, test } from "vitest";
import { isMessage } from "./graph";
import { waitOf } from "./say";

test("an edge is known by messages only while no context goes along it", () => {
  expect(isMessage({ evidence: ["message"] })).toBe(true);
  expect(isMessage({ evidence: ["inferred", "message"] })).toBe(true);
  expect(isMessage({ evidence: ["message", "link"] })).toBe(false);
  expect(isMessage({ evidence: ["inferred"] })).toBe(false);
  expect(isMessage({ evidence: [] })).toBe(false);
});

test("a wait is said where it was seen, also one of no time", () => {
  expect(waitOf({ waitP50Nano: 2_147_000_000 })).toBe("waits 2.15 s");
  expect(waitOf({ waitP50Nano: 0 })).not.toBeNull();
  expect(waitOf({ waitP50Nano: null })).toBeNull();
  expect(waitOf({})).toBeNull();
});
