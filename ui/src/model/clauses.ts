/**
 * A query as the clauses that its outermost `and` joins. The page needs no more of the grammar than
 * this: to try each clause alone, and to exchange one. The server reads the whole.
 */

import { all, withoutTail } from "./query";
import type { Language } from "./xray-filter";

interface Piece {
  readonly text: string;
  readonly word: boolean;
}

/** The words and other pieces of a query; text in quotes and in brackets is one piece each. */
function pieces(query: string): Piece[] {
  const out: Piece[] = [];
  const pattern = /"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|&&|\|\||[A-Za-z_][\w.-]*|\s+|./gs;
  let depth = 0;
  let held = "";
  for (const [text] of query.matchAll(pattern)) {
    if (/^[([{]$/.test(text)) depth += 1;
    if (depth > 0) {
      held += text;
      if (/^[)\]}]$/.test(text)) depth -= 1;
      if (depth === 0) {
        out.push({ text: held, word: false });
        held = "";
      }
      continue;
    }
    out.push({ text, word: /^[A-Za-z]/.test(text) || text === "&&" || text === "||" });
  }
  if (held !== "") out.push({ text: held, word: false });
  return out;
}

const isWord = (piece: Piece, ...words: readonly string[]) =>
  piece.word && words.includes(piece.text.toLowerCase());

/** The clauses in order, or one when an outermost `or` joins them. Order and limit are left out. */
export function splitClauses(query: string): string[] {
  const parts = pieces(withoutTail(query));
  if (parts.some((p) => isWord(p, "or", "||"))) return [withoutTail(query).trim()];
  const out: string[] = [];
  let clause = "";
  for (const part of parts) {
    if (isWord(part, "and", "&&")) {
      out.push(clause.trim());
      clause = "";
    } else clause += part.text;
  }
  return [...out, clause.trim()].filter((c) => c !== "");
}

/** Order and limit, which stand behind the clauses. */
const tailOf = (query: string) => query.trim().slice(withoutTail(query).length).trim();

const JOIN = { native: " and ", xray: " AND " } as const;

/** The query with one clause less. */
export function withoutClause(query: string, clause: string, language: Language): string {
  const left = splitClauses(query).filter((c) => c !== clause);
  return [left.join(JOIN[language]), tailOf(query)].filter((part) => part !== "").join(" ");
}

/**
 * The query with a clause about `field`; an outermost clause about the same field gives way to it,
 * for a span cannot have two services.
 */
export function withClause(
  query: string,
  field: string,
  clause: string,
  language: Language,
): string {
  const clauses = splitClauses(query);
  const isAbout = (c: string) =>
    language === "native"
      ? c.startsWith(`${field} `) || c.startsWith(`${field}=`)
      : c.startsWith(`${field}(`) || c.startsWith(`${field} `);
  const left = clauses.filter((c) => !isAbout(c));
  if (left.length === clauses.length && clauses.length === 1) {
    const joined =
      language === "native" ? all(clauses[0] ?? "", clause) : xrayBoth(clauses[0], clause);
    return [joined, tailOf(query)].filter(Boolean).join(" ");
  }
  return [[...left, clause].join(JOIN[language]), tailOf(query)].filter(Boolean).join(" ");
}

/** Which spans a search is about. */
export type SpanScope = "all" | "entry" | "root";

const SCOPE_CLAUSE = /^(root|entry)\s*==?\s*true$/i;

/** The scope that an outermost clause of the query names. */
export function scopeOf(query: string): SpanScope {
  const found = splitClauses(query).map((c) => SCOPE_CLAUSE.exec(c)?.[1]?.toLowerCase());
  return found.includes("root") ? "root" : found.includes("entry") ? "entry" : "all";
}

/** The query about the spans of a scope; another scope of it gives way. */
export function withScope(query: string, scope: SpanScope): string {
  const clauses = splitClauses(query).filter((c) => !SCOPE_CLAUSE.test(c));
  if (scope === "all") return [clauses.join(JOIN.native), tailOf(query)].filter(Boolean).join(" ");
  // A single clause may hold an outermost "or", which the new one must not tear apart.
  const [only] = clauses;
  const rest = clauses.length === 1 && only !== undefined ? all(only, `${scope} = true`) : null;
  const joined = rest ?? [...clauses, `${scope} = true`].join(JOIN.native);
  return [joined, tailOf(query)].filter(Boolean).join(" ");
}

function xrayBoth(one: string | undefined, other: string): string {
  if (!one) return other;
  return /\bor\b/i.test(one) ? `(${one}) AND ${other}` : `${one} AND ${other}`;
}

/** `key = "value"` taken apart; `null` for every other form. */
export function equality(clause: string): { key: string; value: string } | null {
  const match = /^("[^"]*"|[\w.-]+)\s*==?\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([\w.-]+))$/.exec(
    clause,
  );
  const key = match?.[1]?.replace(/^"|"$/g, "");
  const value = match?.[2]?.replace(/\\(.)/g, "$1") ?? match?.[3] ?? match?.[4];
  return key === undefined || value === undefined ? null : { key, value };
}

/** How many letters must change to make one text of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known value that was likely meant; `null` when none is near. */
export function nearest(wanted: string, known: readonly string[]): string | null {
  const low = wanted.toLowerCase();
  const cost = (text: string) => {
    const other = text.toLowerCase();
    if (other === low) return 0;
    if (other.startsWith(low) || low.startsWith(other)) return 1;
    if (other.includes(low)) return 1.5;
    return distance(low, other.slice(0, 64));
  };
  const [best] = known
    .filter((text) => text !== "" && text !== wanted)
    .map((text) => ({ text, cost: cost(text) }))
    .sort((a, b) => a.cost - b.cost);
  return best && best.cost <= Math.max(2, wanted.length / 3) ? best.text : null;
}
