/** How the services of a map are broken down by the values of a key. Pure. */
import type { MapNode, Part, ServiceMap } from "../api/types";
import { SLOTS, slotColor, type Theme } from "../model/service-color";

export interface PartStyle {
  readonly value: string | null;
  readonly requests: number;
  readonly color: string;
}

/** So many values have a colour of their own; the others share that of the rest. */
export const COLORED_MAX = 8;

/**
 * The values of all services, most requests first, each with one colour that holds on every card.
 * Spans without a value, and the rest that the server gathers, come last in ink.
 */
export function partStyles(map: Pick<ServiceMap, "nodes">, theme: Theme, ink: string): PartStyle[] {
  const requests = new Map<string, number>();
  let others = 0;
  for (const part of map.nodes.flatMap((n) => n.parts ?? [])) {
    if (part.value === null) others += part.requests;
    else requests.set(part.value, (requests.get(part.value) ?? 0) + part.requests);
  }
  const sorted = [...requests].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const colored = sorted.slice(0, COLORED_MAX).map(([value, n], i) => ({
    value,
    requests: n,
    color: slotColor(i % SLOTS, theme),
  }));
  const rest = others + sorted.slice(COLORED_MAX).reduce((sum, [, n]) => sum + n, 0);
  return rest > 0 ? [...colored, { value: null, requests: rest, color: ink }] : colored;
}

export interface Segment {
  /** From 0 to 1, of the node's requests. */
  readonly share: number;
  readonly color: string;
  readonly part: Part;
}

/** The parts of a node as a bar, in the order of the map's values. */
export function segments(node: MapNode, styles: readonly PartStyle[]): Segment[] {
  const parts = node.parts ?? [];
  const all = parts.reduce((sum, p) => sum + p.requests, 0);
  if (all === 0) return [];
  const order = new Map(styles.map((s, i) => [s.value, i]));
  const place = (p: Part) => order.get(p.value) ?? styles.length;
  const last = styles.find((s) => s.value === null)?.color ?? styles.at(-1)?.color ?? "";
  return [...parts]
    .sort((a, b) => place(a) - place(b) || b.requests - a.requests)
    .map((part) => ({
      share: part.requests / all,
      color: styles[place(part)]?.color ?? last,
      part,
    }));
}
