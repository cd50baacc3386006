/** How findings stand under each other, and what is counted of them. Pure. */
import type { Finding } from "../api/types";

const SEVERITIES: readonly Finding["severity"][] = ["lost", "partial", "note"];

/** Open before healed, worse before milder, more cases before fewer; of equals, by id. */
export function worstFirst(findings: readonly Finding[]): Finding[] {
  const rank = (f: Finding) =>
    (f.state === "healed" ? SEVERITIES.length : 0) + SEVERITIES.indexOf(f.severity);
  return [...findings].sort(
    (a, b) => rank(a) - rank(b) || b.count - a.count || (a.id < b.id ? -1 : 1),
  );
}

/** The title without the count that the card already says in its own place. */
export function titleOf({ title }: Pick<Finding, "title">): string {
  const bare = title.replace(/^(?:\d+ of \d+|\d+ cases?): /, "");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}
