import { expect, test } from "vitest";
import { annotationClause, flagClause, looksLikeXray, withinGroup } from "./xray-filter";

test("annotations are compared as what they are", () => {
  expect(annotationClause("email", "=", "a@b.c")).toBe('annotation.email = "a@b.c"');
  expect(annotationClause("age", "!=", 29)).toBe("annotation.age != 29");
  expect(annotationClause("paid", "=", false)).toBe("annotation.paid = false");
});

test("a key or text that could be misread is quoted", () => {
  expect(annotationClause("a.b c", "=", 1)).toBe('annotation["a.b c"] = 1');
  expect(annotationClause("path", "=", 'C:\\x "y"')).toBe('annotation.path = "C:\\\\x \\"y\\""');
  expect(flagClause('the "api"', "fault")).toBe('service("the \\"api\\"") { fault }');
  expect(flagClause("", "throttle")).toBe("service() { throttle }");
});

test("a group narrows what was written before", () => {
  expect(withinGroup("slow", "  ")).toBe('group.name = "slow"');
  expect(withinGroup("slow", "fault OR error")).toBe('group.name = "slow" AND (fault OR error)');
});

test("X-Ray's words are told from ours", () => {
  const check = (text: string, is: boolean) => expect(looksLikeXray(text), text).toBe(is);
  check('service("a") { fault }', true);
  check("responseTime > 5", true);
  check("annotation[key]", true);
  check('edge("a", "b")', true);
  check('service = "a" and', false);
  check("duration > 500ms", false);
});
