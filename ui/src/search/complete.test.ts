import { expect, test } from "vitest";
import type { Language } from "../model/xray-filter";
import { wantedAt } from "./complete";

/** The cursor is at the bar. */
function check(marked: string, what: string, key = "", typed = "", language: Language = "native") {
  const cursor = marked.indexOf("|");
  const found = wantedAt(marked.replace("|", ""), cursor, language);
  expect([found.what, found.key, found.typed], marked).toEqual([what, key, typed]);
}

test("a query begins with a field, and so does what follows a joint", () => {
  check("|", "field");
  check("ser|", "field", "", "ser");
  check("service = x and st|", "field", "", "st");
  check("not (|", "field");
});

test("a field is followed by an operator, and that by a value of the field", () => {
  check("service |", "operator", "service");
  check("service = |", "value", "service");
  check("service = che|", "value", "service", "che");
  check('http.route = "/v1/|', "value", "http.route", "/v1/");
  check('"my key" != "a b|', "value", "my key", "a b");
  check("a = 1 and kind =|", "value", "kind");
  check('service in ("a", |', "value", "service");
});

test("a value is followed by a joint", () => {
  check('service = "a" |', "joint");
  check("(a = 1) |", "joint");
  check("duration > 5ms o|", "joint", "", "o");
});

test("what replaces a quoted text begins at its quote", () => {
  expect(wantedAt('name = "GET', 11, "native")).toMatchObject({ from: 7, quoted: true });
});

test("X-Ray names services in brackets", () => {
  check('service("sig|', "value", "service", "sig", "xray");
  check("service(|", "value", "service", "", "xray");
  check('service("a") { fa|', "field", "", "fa", "xray");
  check("annotation.email CONTAINS |", "value", "annotation.email", "", "xray");
});
