import { expect, test } from "vitest";
import { all, attributeClause, clause, withOrder, withoutTail } from "./query";

test("values are written so that the server reads them back", () => {
  expect(clause("service", "=", "checkout")).toBe('service = "checkout"');
  expect(clause("service", "=", 'a "b" \\ c\nd')).toBe('service = "a \\"b\\" \\\\ c\\nd"');
  expect(attributeClause("http.response.status_code", "!=", 503)).toBe(
    "http.response.status_code != 503",
  );
});

test("a key that the language would misread is quoted or scoped", () => {
  expect(attributeClause("my key", "=", true)).toBe('"my key" = true');
  expect(attributeClause("order", "=", "7")).toBe('"order" = "7"');
  expect(attributeClause("name", "=", "x")).toBe('span.name = "x"');
  expect(attributeClause("host.name", "=", "x", "resource")).toBe('resource.host.name = "x"');
});

test("clauses are joined without changing what an `or` means", () => {
  expect(all("", 'service = "a"')).toBe('service = "a"');
  expect(all("a = 1 or b = 2", "c = 3")).toBe("(a = 1 or b = 2) and c = 3");
});

test("the chosen order joins, unless the query has one", () => {
  expect(withOrder("", true)).toBe("order by duration desc");
  expect(withOrder("a = 1 limit 5", true)).toBe("a = 1 order by duration desc limit 5");
  expect(withOrder("a = 1 order by start asc", true)).toBe("a = 1 order by start asc");
  expect(withOrder("a = 1", false)).toBe("a = 1");
  expect(withoutTail("a = 1 order by start asc limit 5")).toBe("a = 1");
});
