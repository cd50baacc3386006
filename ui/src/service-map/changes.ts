/**
 * What came and what went between two maps of the same system. Pure.
 *
 * What is gone is drawn as a ghost: it stays on the map, with no requests.
 */
import type { MapEdge, MapNode, ServiceMap } from "../api/types";

export type Change = "new" | "gone";

export interface Changes {
  readonly nodes: ReadonlyMap<string, Change>;
  /** By [`edgeKey`]. */
  readonly edges: ReadonlyMap<string, Change>;
}

export const NO_CHANGES: Changes = { nodes: new Map(), edges: new Map() };

export const edgeKey = ({ from, to, kind }: Pick<MapEdge, "from" | "to" | "kind">) =>
  `${from}>${to} ${kind}`;

/** The map with the ghosts of what is gone, and what changed. An earlier map without a node says nothing. */
export function withGhosts(
  now: ServiceMap,
  earlier: ServiceMap | null,
): { map: ServiceMap; changes: Changes } {
  if (!earlier || earlier.nodes.length === 0) return { map: now, changes: NO_CHANGES };
  const nodes = compared(now.nodes, earlier.nodes, (n) => n.id);
  const edges = compared(now.edges, earlier.edges, edgeKey);
  const map = {
    ...now,
    nodes: [...now.nodes, ...nodes.gone.map(silent<MapNode>)],
    edges: [...now.edges, ...edges.gone.map(silent<MapEdge>)],
  };
  return { map, changes: { nodes: nodes.changes, edges: edges.changes } };
}

function compared<T>(now: readonly T[], earlier: readonly T[], key: (item: T) => string) {
  const [present, past] = [new Set(now.map(key)), new Set(earlier.map(key))];
  const changes = new Map<string, Change>();
  for (const id of present) if (!past.has(id)) changes.set(id, "new");
  for (const id of past) if (!present.has(id)) changes.set(id, "gone");
  return { changes, gone: earlier.filter((item) => !present.has(key(item))) };
}

/** What is gone has no numbers now; what they were stands in the earlier map. */
function silent<T extends MapNode | MapEdge>(item: T): T {
  return { ...item, requests: 0, errors: 0, p50Nano: 0, p95Nano: 0, p99Nano: 0 };
}

/** How many nodes and edges changed each way. */
export function counted({ nodes, edges }: Changes): Record<Change, number> {
  const all = [...nodes.values(), ...edges.values()];
  const of = (change: Change) => all.filter((c) => c === change).length;
  return { new: of("new"), gone: of("gone") };
}
