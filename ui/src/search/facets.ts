/** What the traces of a result have in common, with counts. */
import type { TraceSummary } from "../api/types";

export type FacetName = "service" | "operation" | "failing" | "status" | "environment";

export interface FacetValue {
  readonly value: string;
  readonly traces: number;
}

export interface Facet {
  readonly name: FacetName;
  readonly values: readonly FacetValue[];
}

/** The values of one trace, by facet. A trace has several services and one of all else. */
const VALUES: Readonly<Record<FacetName, (t: TraceSummary) => readonly string[]>> = {
  status: (t) => [t.errorCount > 0 ? "error" : "ok"],
  service: (t) => t.services,
  operation: (t) => (t.rootName === "" ? [] : [`${t.rootService}\n${t.rootName}`]),
  failing: (t) => (t.failing ? [t.failing.service] : []),
  environment: (t) => (t.environment === null ? [] : [t.environment]),
};

export const FACETS = Object.keys(VALUES) as readonly FacetName[];

/** Each facet with its values, most frequent first; one that says nothing is left out. */
export function facets(traces: readonly TraceSummary[]): Facet[] {
  return FACETS.map((name) => ({ name, values: counted(traces, name) })).filter(
    ({ name, values }) => values.length > (name === "environment" ? 1 : 0),
  );
}

function counted(traces: readonly TraceSummary[], name: FacetName): FacetValue[] {
  const counts = new Map<string, number>();
  for (const trace of traces) {
    for (const value of new Set(VALUES[name](trace))) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  return [...counts]
    .map(([value, n]) => ({ value, traces: n }))
    .sort((a, b) => b.traces - a.traces || (a.value < b.value ? -1 : 1));
}
