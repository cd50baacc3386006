/** What the traces of a result have in common, with counts; and what sets some apart from the rest. */
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

export interface Difference {
  readonly name: FacetName;
  readonly value: string;
  /** Shares, 0 to 1, of the traces inside and of all others that have the value. */
  readonly inside: number;
  readonly outside: number;
}

/** What is more or less frequent among `inside` than among `outside`, the greatest gap first. */
export function differences(
  inside: readonly TraceSummary[],
  outside: readonly TraceSummary[],
): Difference[] {
  if (inside.length === 0 || outside.length === 0) return [];
  const out: Difference[] = [];
  for (const name of FACETS) {
    const others = new Map(counted(outside, name).map((v) => [v.value, v.traces]));
    const own = new Map(counted(inside, name).map((v) => [v.value, v.traces]));
    for (const value of new Set([...own.keys(), ...others.keys()])) {
      // One side of yes and no says all.
      if (name === "status" && value === "ok") continue;
      out.push({
        name,
        value,
        inside: (own.get(value) ?? 0) / inside.length,
        outside: (others.get(value) ?? 0) / outside.length,
      });
    }
  }
  const gap = (d: Difference) => Math.abs(d.inside - d.outside);
  return out.filter((d) => gap(d) >= 0.1).sort((a, b) => gap(b) - gap(a));
}
