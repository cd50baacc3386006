/** How the numbers of a map are said: rates over a range of time, or counts within one trace. */
import type { MapEdge, MapNode } from "../api/types";
import { formatCount, formatDuration, formatRate, formatShare } from "../model/units";
import { t } from "../shared/messages";

/** What the cards' colour is about. */
export type Colour = "health" | "latency" | "traffic";

export interface Say {
  readonly rangeNs: number;
  readonly amount: (requests: number) => string;
  readonly edge: (edge: MapEdge) => string;
  /** From 0 to 1 how much of the chosen measure a node has; `null` when the colour is its health. */
  readonly heat: (node: MapNode) => number | null;
}

/** Rates over the range that a map was asked for. */
export function sayRates(rangeNs: number, colour: Colour, nodes: readonly MapNode[]): Say {
  const measure = (n: MapNode) => (colour === "latency" ? n.p95Nano : n.requests);
  const services = nodes.filter((n) => n.kind === "service");
  const most = Math.max(1, ...services.map(measure));
  const least = Math.max(1, Math.min(most, ...services.map(measure).filter((v) => v > 0)));
  const span = Math.log(most / least) || 1;
  return {
    rangeNs,
    amount: (requests) => formatRate(requests, rangeNs),
    edge: (e) => edgeText(formatRate(e.requests, rangeNs), e),
    // The scale is logarithmic: systems differ by powers of ten.
    heat: (n) =>
      colour === "health" ? null : Math.log(Math.max(least, measure(n)) / least) / span,
  };
}

/** Counts, for a map that shows one trace. */
export function sayCounts(): Say {
  const amount = (n: number) => t(n === 1 ? "map.spans.one" : "map.spans", { n: formatCount(n) });
  return {
    rangeNs: 1e9,
    amount,
    edge: (e) =>
      edgeText(t(e.requests === 1 ? "map.calls.one" : "map.calls", { n: e.requests }), e),
    heat: () => null,
  };
}

/** How long messages wait on an edge, or nothing where that was not seen. */
export function waitOf({ waitP50Nano }: Pick<MapEdge, "waitP50Nano">): string | null {
  return waitP50Nano == null ? null : t("edge.waited", { wait: formatDuration(waitP50Nano) });
}

function edgeText(amount: string, edge: MapEdge): string {
  const wait = waitOf(edge);
  const failed = edge.errors > 0 ? `${formatShare(edge.errors, edge.requests)}  ` : "";
  const text = `${amount}  ${failed}${formatDuration(edge.p95Nano)}`;
  return wait ? `${text}  ${wait}` : text;
}
