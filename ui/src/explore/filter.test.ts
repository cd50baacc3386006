import { expect, test } from "vitest";
import { clauseOf, filtered } from "./filter";

test("a value is asked for in the words of its scope", () => {
  const check = (scope: string, key: string, expected: string) =>
    expect(clauseOf({ scope, key, value: "a" }, "=", "native")).toBe(expected);
  check("span", "tenant.id", 'tenant.id = "a"');
  check("field", "service", 'service = "a"');
  check("span", "name", 'span.name = "a"');
  check("resource", "host.name", 'resource.host.name = "a"');
  check("event", "exception.type", 'event.exception.type = "a"');
  check("span", "odd key", '"odd key" = "a"');
});

test("X-Ray's language has no words for some", () => {
  expect(clauseOf({ scope: "span", key: "tenant", value: "a" }, "=", "xray")).toBe(
    'annotation.tenant = "a"',
  );
  expect(clauseOf({ scope: "field", key: "service", value: 'a"b' }, "!=", "xray")).toBe(
    '!service("a\\"b")',
  );
  expect(clauseOf({ scope: "field", key: "kind", value: "server" }, "=", "xray")).toBeNull();
});

test("a second value of a key takes the place of the first, and joins the rest", () => {
  const tenant = { scope: "span", key: "tenant.id", value: "b" };
  expect(filtered('service = "x" and tenant.id = "a"', tenant, "=", "native")).toBe(
    'service = "x" and tenant.id = "b"',
  );
  expect(filtered('service = "x"', tenant, "!=", "native")).toBe(
    'service = "x" and tenant.id != "b"',
  );
  expect(filtered('tenant.id != "a"', tenant, "!=", "native")).toContain('tenant.id != "b"');
});
