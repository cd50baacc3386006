/** A log record in words, and log records beside the events of spans. */
import type { LogRecord } from "../api/types";

/** What was said, as text; a body of several values as JSON. */
export function bodyText({ body }: LogRecord): string {
  if (body === null || body === undefined) return "";
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** The sender's own word for the severity if it has one; both where they differ in more than case. */
export function severityWord({ severity, severityText }: LogRecord): string {
  if (severityText === "") return severity === "unspecified" ? "" : severity;
  return severityText.toLowerCase();
}

/** Two lists that are in the order of their offsets, as one. Of the same offset `a` comes first. */
export function merged<T extends { readonly offset: number }>(
  a: readonly T[],
  b: readonly T[],
): T[] {
  const all: T[] = [];
  let next = 0;
  for (const one of b) {
    for (let early = a[next]; early && early.offset <= one.offset; early = a[++next])
      all.push(early);
    all.push(one);
  }
  return all.concat(a.slice(next));
}
