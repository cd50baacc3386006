import { expect, test } from "vitest";
import {
  equality,
  nearest,
  type SpanScope,
  scopeOf,
  splitClauses,
  withClause,
  withoutClause,
  withScope,
} from "./clauses";

test("clauses are what the outermost `and` joins", () => {
  const check = (q: string, clauses: string[]) => expect(splitClauses(q), q).toEqual(clauses);
  check("", []);
  check('service = "a and b"', ['service = "a and b"']);
  check("a = 1 and (b = 2 or c = 3) && d = 4", ["a = 1", "(b = 2 or c = 3)", "d = 4"]);
  check("a = 1 or b = 2", ["a = 1 or b = 2"]);
  check("a = 1 and b = 2 order by duration desc limit 5", ["a = 1", "b = 2"]);
  check('service("x") { fault } AND responsetime > 1', [
    'service("x") { fault }',
    "responsetime > 1",
  ]);
  check('a = "never closed and b = 2', ['a = "never closed and b = 2']);
  check("band = 1", ["band = 1"]);
});

test("a clause can go, and its order stays", () => {
  expect(withoutClause("a = 1 and b = 2 order by duration desc", "a = 1", "native")).toBe(
    "b = 2 order by duration desc",
  );
  expect(withoutClause("a = 1", "a = 1", "native")).toBe("");
});

test("a clause about the same field gives way", () => {
  const set = (q: string) => withClause(q, "service", 'service = "b"', "native");
  expect(set("")).toBe('service = "b"');
  expect(set('service = "a" and status = error')).toBe('status = error and service = "b"');
  expect(set("status = error limit 5")).toBe('status = error and service = "b" limit 5');
  expect(set("a = 1 or b = 2")).toBe('(a = 1 or b = 2) and service = "b"');
  expect(withClause('service("a") { fault }', "service", 'service("b")', "xray")).toBe(
    'service("b")',
  );
});

test("an equality is taken apart", () => {
  expect(equality('env = "prod"')).toEqual({ key: "env", value: "prod" });
  expect(equality('"my key" == "a \\"b\\""')).toEqual({ key: "my key", value: 'a "b"' });
  expect(equality("status = error")).toEqual({ key: "status", value: "error" });
  expect(equality("duration > 5ms")).toBeNull();
});

test("what was likely meant is near in letters", () => {
  expect(nearest("prod", ["staging", "production"])).toBe("production");
  expect(nearest("chekout", ["cart", "checkout"])).toBe("checkout");
  expect(nearest("x", ["checkout"])).toBeNull();
  expect(nearest("checkout", ["checkout"])).toBeNull();
});

test("the scope of a search is a clause that comes and goes", () => {
  const check = (query: string, scope: SpanScope, expected: string) => {
    expect(withScope(query, scope)).toBe(expected);
    expect(scopeOf(expected)).toBe(scope);
  };
  check("", "root", "root = true");
  check('service = "a"', "entry", 'service = "a" and entry = true');
  check('service = "a" and entry = true', "root", 'service = "a" and root = true');
  check('service = "a" and root = true limit 5', "all", 'service = "a" limit 5');
  check("a = 1 or b = 2", "entry", "(a = 1 or b = 2) and entry = true");
  check("root = true", "all", "");
  expect(scopeOf("a = 1 or root = true")).toBe("all");
});
