/** The little of X-Ray's filter expressions that the page writes itself. The server reads them. */
import type { AttributeValue, Operator } from "./query";

/** How the text of a search is written: our own query language, or X-Ray's filter expressions. */
export type Language = "native" | "xray";

/** What an expression may look like, for those who have not written one yet. */
export const EXAMPLES = [
  "service() { fault }",
  'service("name") { fault }',
  "responsetime > 1",
  'annotation.email = "x"',
  "http.status = 500",
  "partial",
] as const;

const PLAIN_KEY = /^[A-Za-z0-9_]+$/;

/** `annotation.email = "x"`; a key that could be misread stands in brackets. */
export function annotationClause(key: string, operator: Operator, value: AttributeValue): string {
  const name = PLAIN_KEY.test(key) ? `annotation.${key}` : `annotation[${quoted(key)}]`;
  return `${name} ${operator} ${typeof value === "string" ? quoted(value) : value}`;
}

/** `service("checkout") { fault }` */
export function flagClause(service: string, flag: string): string {
  return `service(${service === "" ? "" : quoted(service)}) { ${flag} }`;
}

/** What is searched for once a group is picked; what was written before still holds. */
export function withinGroup(name: string, expression: string): string {
  const group = `group.name = ${quoted(name)}`;
  return expression.trim() === "" ? group : `${group} AND (${expression.trim()})`;
}

/** Whether a text that our own language could not read is likely meant for X-Ray's. */
export function looksLikeXray(text: string): boolean {
  return /\b(?:service|edge)\s*\(|\bannotation[.[]|\b(?:responsetime|group\.(?:name|arn)|rootcause)\b|[{}]/i.test(
    text,
  );
}

/** Only these two lose their backslash again; before anything else it stays, so paths keep theirs. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
