/** What may come next in a query at the place of the cursor. Pure; the words' sources are asked later. */
import type { Language } from "../model/xray-filter";

/** What is wanted, and the text that it would replace. */
export interface Wanted {
  readonly what: "field" | "operator" | "value" | "joint" | "nothing";
  /** The field that a value is of. */
  readonly key: string;
  readonly from: number;
  /** What was already typed of it, without its quote. */
  readonly typed: string;
  readonly quoted: boolean;
}

const TOKEN =
  /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[!=<>~]=?|!~|&&|\|\||[()[\],{}]|[^\s"'!=<>~()[\],{}&|]+/g;
const OPERATOR = /^(?:=|==|!=|>|>=|<|<=|~|!~)$/;
const JOINT = /^(?:and|or|not|&&|\|\|)$/i;

export const OPERATORS = ["=", "!=", ">", ">=", "<", "<=", "~", "!~", "in", "exists"] as const;
export const XRAY_OPERATORS = ["=", "!=", ">", ">=", "<", "<=", "BEGINSWITH", "CONTAINS"] as const;

/** Reads what stands before the cursor. */
export function wantedAt(text: string, cursor: number, language: Language): Wanted {
  const before = text.slice(0, cursor);
  const open = openQuote(before);
  const from = open ?? before.search(/[^\s"'!=<>~()[\],{}&|]*$/);
  const typed = before.slice(open === null ? from : from + 1);
  const tokens: readonly string[] = before.slice(0, from).match(TOKEN) ?? [];
  const wanted = (what: Wanted["what"], key = ""): Wanted => ({
    what,
    key,
    from,
    typed,
    quoted: open !== null,
  });
  const last = tokens.at(-1);
  const previous = tokens.at(-2);
  if (language === "xray" && last === "(" && /^(?:service|edge)$/i.test(previous ?? "")) {
    return wanted("value", "service");
  }
  if (last === undefined || JOINT.test(last) || last === "(" || last === "{") {
    // A whole word of a field, typed to its end, still wants the field: it may go on.
    return open === null ? wanted("field") : wanted("nothing");
  }
  const inList = tokens.lastIndexOf("(");
  if (last === "," && inList > 1 && /^in$/i.test(tokens[inList - 1] ?? "")) {
    return wanted("value", plain(tokens[inList - 2] ?? ""));
  }
  if (OPERATOR.test(last) || /^(?:beginswith|contains)$/i.test(last)) {
    return wanted("value", plain(previous ?? ""));
  }
  const beforeLast = previous === undefined || JOINT.test(previous) || /^[({]$/.test(previous);
  if (beforeLast && last !== ")" && last !== "}" && open === null)
    return wanted("operator", plain(last));
  return open === null ? wanted("joint") : wanted("nothing");
}

const plain = (token: string) => token.replace(/^"|"$/g, "");

/** Where a quote was opened and not closed. */
function openQuote(text: string): number | null {
  let open: { at: number; mark: string } | null = null;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? "";
    if (open && c === "\\") i += 1;
    else if (open) open = c === open.mark ? null : open;
    else if (c === '"' || c === "'") open = { at: i, mark: c };
  }
  return open?.at ?? null;
}

/** The fields of the native language, with what they mean. Rule: docs/query.md. */
export const FIELDS: readonly (readonly [string, string])[] = [
  ["service", "service.name of the resource"],
  ["name", "name of the span"],
  ["status", "ok, error, unset"],
  ["duration", "of the span: 500ms, 1.5s"],
  ["kind", "server, client, producer, consumer, internal"],
  ["root", "whether the span has no parent"],
  ["entry", "whether the span enters a service"],
  ["environment", "deployment environment"],
  ["status.message", "text sent with the status"],
  ["event.name", "name of an event of the span"],
  ["scope.name", "instrumentation library"],
  ["trace", "trace id"],
  ["span", "span id"],
  ["parent", "id of the parent span"],
];

/** The keywords of X-Ray's filter expressions. Rule: X-Ray developer guide, filter expressions. */
export const XRAY_WORDS: readonly (readonly [string, string])[] = [
  ["service(", "traces through a service"],
  ["edge(", "traces with a call from one service to another"],
  ["annotation.", "an indexed key of a segment"],
  ["responsetime", "seconds until the answer"],
  ["duration", "seconds until all was done"],
  ["http.status", "status of the response"],
  ["http.url", "address of the request"],
  ["http.method", "method of the request"],
  ["fault", "5xx"],
  ["error", "4xx"],
  ["throttle", "429"],
  ["ok", "2xx"],
  ["partial", "segments are missing"],
  ["user", "user of a segment"],
  ["name", "name of a service"],
];

/** Values that need no question to the server. */
export const KNOWN_VALUES: Readonly<Record<string, readonly string[]>> = {
  status: ["error", "ok", "unset"],
  kind: ["server", "client", "producer", "consumer", "internal"],
  root: ["true", "false"],
  entry: ["true", "false"],
  duration: ["10ms", "100ms", "500ms", "1s", "5s"],
  responsetime: ["0.5", "1", "5"],
  partial: ["true", "false"],
};
