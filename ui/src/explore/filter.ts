/** The query once a value is clicked: only spans that have it, or all others. Pure. */
import { withClause } from "../model/clauses";
import { attributeClause, clause, quotedKey } from "../model/query";
import { annotationClause, type Language } from "../model/xray-filter";

/** Parts of a span that the language names by a word of its own. */
const FIELDS = new Set(["service", "name", "kind", "status", "status.message", "environment"]);
const SCOPES = new Set(["span", "resource", "event", "link"]);

export interface Named {
  /** `span`, `resource`, `event`, `link`; anything else is a part of the span itself. */
  readonly scope: string;
  readonly key: string;
  readonly value: string;
}

/** The clause about a value; `null` when the language has no words for it. */
export function clauseOf(
  { scope, key, value }: Named,
  operator: "=" | "!=",
  language: Language,
): string | null {
  if (language === "xray") {
    if (key === "service" || key === "service.name") {
      const text = `service("${value.replace(/["\\]/g, "\\$&")}")`;
      return operator === "=" ? text : `!${text}`;
    }
    return scope === "span" ? annotationClause(key, operator, value) : null;
  }
  if (FIELDS.has(key) && !SCOPES.has(scope)) return clause(key, operator, value);
  if (scope === "link" || scope === "scope")
    return clause(`${scope}.${quotedKey(key)}`, operator, value);
  const known = scope === "resource" || scope === "event" ? scope : "span";
  return attributeClause(key, operator, value, known);
}

/** The query with that clause; an outermost clause that says "=" of the same key gives way to it. */
export function filtered(
  query: string,
  named: Named,
  operator: "=" | "!=",
  language: Language,
): string | null {
  const added = clauseOf(named, operator, language);
  if (added === null) return null;
  const field = language === "xray" ? added : (/^(\S+|"[^"]*")\s/.exec(added)?.[1] ?? named.key);
  return withClause(query, operator === "=" ? field : `${field} !=`, added, language);
}
