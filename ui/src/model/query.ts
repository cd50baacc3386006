/** The little of the native query language that the page writes itself. The server reads it. */

const BARE_KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
/** Words with a meaning in the language: as a key they must be quoted. */
const WORDS = new Set([
  "and",
  "or",
  "not",
  "in",
  "exists",
  "order",
  "by",
  "limit",
  "true",
  "false",
]);
/** Names the language gives to parts of a span: an attribute of that name needs its scope. */
const FIELDS = new Set([
  "service",
  "name",
  "kind",
  "status",
  "status.message",
  "duration",
  "trace",
  "span",
  "parent",
  "root",
  "entry",
  "environment",
]);

export type Operator = "=" | "!=";
export type AttributeValue = string | number | boolean;

/** `service = "checkout"` */
export function clause(field: string, operator: Operator, value: AttributeValue): string {
  return `${field} ${operator} ${literal(value)}`;
}

/** A clause on an attribute; the key is quoted or scoped when the language would misread it. */
export function attributeClause(
  key: string,
  operator: Operator,
  value: AttributeValue,
  scope: "span" | "resource" | "event" = "span",
): string {
  const needsScope = scope !== "span" || FIELDS.has(key);
  const name = quotedKey(key);
  return clause(needsScope ? `${scope}.${name}` : name, operator, value);
}

/** A key as the language reads it: bare, or in quotes when it has odd characters or is a word of its own. */
export function quotedKey(key: string): string {
  return BARE_KEY.test(key) && !WORDS.has(key) ? key : literal(key);
}

/** Joins what is not empty; each part that holds an `or` keeps its meaning in parentheses. */
export function all(...parts: readonly string[]): string {
  const filled = parts.map((p) => p.trim()).filter((p) => p !== "");
  if (filled.length < 2) return filled[0] ?? "";
  return filled.map((p) => (/\bor\b/i.test(p) && !/^\(.*\)$/.test(p) ? `(${p})` : p)).join(" and ");
}

const ORDER = /\s*\border\s+by\s+(?:duration|start)\s*(?:asc|desc)?/i;

/** Whether the query chooses its own order. */
export function hasOrder(query: string): boolean {
  return ORDER.test(query);
}

/** The query as the server shall run it: the chosen order joins unless it has its own. */
export function withOrder(query: string, slowestFirst: boolean): string {
  if (!slowestFirst || hasOrder(query)) return query.trim();
  const limit = /\blimit\s+\d+\s*$/i.exec(query);
  const head = limit ? query.slice(0, limit.index) : query;
  return [head.trim(), "order by duration desc", limit?.[0].trim() ?? ""].filter(Boolean).join(" ");
}

/** The query without its tail, to which another clause can be joined by `and`. */
export function withoutTail(query: string): string {
  return query.replace(/\s*\b(?:order\s+by|limit)\b[^"]*$/i, "").trim();
}

/** A value as the language reads it: a text in quotes, anything else as it is. */
export function literal(value: AttributeValue): string {
  if (typeof value !== "string") return String(value);
  const escaped = value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `"${escaped}"`;
}
