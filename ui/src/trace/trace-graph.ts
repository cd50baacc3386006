/** The services of one trace as a map: who called whom, how often, how long, and what failed. Pure. */
import type { MapEdge, MapNode, ServiceMap } from "../api/types";
import { at, isError, isPlaceholder, KIND, serviceOf, type TraceTree } from "./tree";

interface Tally {
  requests: number;
  errors: number;
  durations: number[];
}

/** Nodes are services; an edge counts the spans of `to` whose parent is of `from`. */
export function traceGraph(tree: TraceTree): ServiceMap {
  const nodes = new Map<string, Tally>();
  const edges = new Map<string, Tally & { from: string; to: string; isAsync: boolean }>();
  for (const row of tree.preorder) {
    if (isPlaceholder(tree, row)) continue;
    const service = serviceOf(tree, row);
    const up = at(tree.parent, row);
    const from = up >= 0 && !isPlaceholder(tree, up) ? serviceOf(tree, up) : null;
    const took = at(tree.end, row) - at(tree.start, row);
    const node = nodes.get(service) ?? { requests: 0, errors: 0, durations: [] };
    nodes.set(service, node);
    if (from === service) continue;
    // A service is entered by spans whose parent is another's.
    count(node, took, isError(tree, row));
    if (from === null) continue;
    const isAsync =
      tree.view.spans.kind[row] === KIND.consumer || tree.view.spans.kind[up] === KIND.producer;
    const key = `${from}\n${service}\n${isAsync}`;
    const edge = edges.get(key) ?? {
      from,
      to: service,
      isAsync,
      requests: 0,
      errors: 0,
      durations: [],
    };
    edges.set(key, edge);
    count(edge, took, isError(tree, row));
  }
  return {
    fromUnixNano: tree.view.startUnixNano,
    toUnixNano: tree.view.startUnixNano,
    nodes: [...nodes].map(
      ([name, tally]): MapNode => ({
        id: name,
        name,
        kind: "service",
        system: null,
        inferred: false,
        ...numbers(tally),
      }),
    ),
    edges: [...edges.values()].map(
      (edge): MapEdge => ({
        from: edge.from,
        to: edge.to,
        kind: edge.isAsync ? "async" : "sync",
        evidence: ["parent"],
        ...numbers(edge),
      }),
    ),
  };
}

function count(tally: Tally, took: number, failed: boolean): void {
  tally.requests += 1;
  tally.errors += failed ? 1 : 0;
  tally.durations.push(took);
}

function numbers({ requests, errors, durations }: Tally) {
  const sorted = durations.sort((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { requests, errors, p50Nano: rank(0.5), p95Nano: rank(0.95), p99Nano: rank(0.99) };
}
