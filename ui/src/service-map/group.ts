/**
 * A smaller map of the same system: names made short, services of one family made one card. Pure.
 */
import type { MapEdge, MapNode, Part, ServiceMap } from "../api/types";

/** From this many nodes that would be cards on, a map opens grouped. */
export const GROUP_ABOVE = 150;

/**
 * The map with `orders-db` for `orders-db@orders-db.internal`, where no other node is called so:
 * the host is of interest only when there are two.
 */
export function withShortNames(map: ServiceMap): ServiceMap {
  const short = (name: string) => name.split("@")[0] || name;
  const taken = new Map<string, number>();
  for (const { name } of map.nodes) taken.set(short(name), (taken.get(short(name)) ?? 0) + 1);
  return {
    ...map,
    nodes: map.nodes.map((n) =>
      taken.get(short(n.name)) === 1 ? { ...n, name: short(n.name) } : n,
    ),
  };
}

/** What comes before the first `-`, `.`, `_` or `/`: teams name their services so. */
const prefix = (name: string) => name.split(/[-._/]/)[0] ?? name;

/** How services are put together: which family one belongs to, and what the family's card is called. */
export interface Grouping {
  /** `null` for a service that stands alone. */
  readonly familyOf: (node: MapNode) => string | null;
  readonly title: (family: string) => string;
}

export const byPrefix: Grouping = {
  familyOf: (node) => prefix(node.name),
  title: (family) => `${family}-*`,
};

/** By what most of a service's requests say, of a map that is broken down by one key. */
export function byValue(brokenDown: ServiceMap): Grouping {
  const said = (parts: readonly Part[]) => parts.find((part) => part.value !== null)?.value ?? null;
  const families = new Map(brokenDown.nodes.map((node) => [node.id, said(node.parts ?? [])]));
  return { familyOf: (node) => families.get(node.id) ?? null, title: (family) => family };
}

/** One card for each family of services; families of one stay as they are. */
export function grouped(map: ServiceMap, { familyOf, title: titleOf }: Grouping): ServiceMap {
  const families = new Map<string, MapNode[]>();
  for (const node of map.nodes) {
    const family = node.kind === "service" ? familyOf(node) : null;
    if (family !== null) families.set(family, [...(families.get(family) ?? []), node]);
  }
  const groupOf = new Map<string, string>();
  const groups: MapNode[] = [];
  for (const [name, members] of families) {
    if (members.length < 2) continue;
    const id = `group:${name}`;
    for (const { id: member } of members) groupOf.set(member, id);
    const title = `${titleOf(name)} (${members.length})`;
    const parts = partsOf(members);
    groups.push({ ...merged(members), id, name: title, ...(parts ? { parts } : {}) } as MapNode);
  }
  const end = (id: string) => groupOf.get(id) ?? id;
  const edges = new Map<string, MapEdge[]>();
  for (const edge of map.edges) {
    const [from, to] = [end(edge.from), end(edge.to)];
    if (from === to) continue;
    const key = `${from}\n${to}\n${edge.kind}`;
    edges.set(key, [...(edges.get(key) ?? []), { ...edge, from, to }]);
  }
  return {
    ...map,
    nodes: [...groups, ...map.nodes.filter((n) => !groupOf.has(n.id))],
    edges: [...edges.values()].map(
      (same) =>
        ({ ...merged(same), evidence: [...new Set(same.flatMap((e) => e.evidence))] }) as MapEdge,
    ),
  };
}

/** The parts of all members, those of one value as one; `undefined` when nothing is broken down. */
function partsOf(members: readonly MapNode[]): Part[] | undefined {
  if (!members.some((m) => m.parts)) return undefined;
  const byValue = new Map<string | null, Part[]>();
  for (const part of members.flatMap((m) => m.parts ?? [])) {
    byValue.set(part.value, [...(byValue.get(part.value) ?? []), part]);
  }
  return [...byValue.values()].map((same) => merged(same));
}

/** Counts add up. Percentiles do not: the greatest stands for all, so nothing slow is hidden. */
function merged<T extends MapNode | MapEdge | Part>(items: readonly T[]): T {
  const sum = (of: (item: T) => number) => items.reduce((all, item) => all + of(item), 0);
  const most = (of: (item: T) => number) => Math.max(...items.map(of));
  return {
    ...(items[0] as T),
    requests: sum((i) => i.requests),
    errors: sum((i) => i.errors),
    p50Nano: most((i) => i.p50Nano),
    p95Nano: most((i) => i.p95Nano),
    p99Nano: most((i) => i.p99Nano),
  };
}

/** The members of a group's card, by the card's id; empty for any other node. */
export function members(map: ServiceMap, id: string, { familyOf }: Grouping): MapNode[] {
  if (!id.startsWith("group:")) return [];
  const name = id.slice("group:".length);
  return map.nodes.filter((n) => n.kind === "service" && familyOf(n) === name);
}
