/** The one sentence about a focused node: where its failures come from. Pure. */
import type { MapEdge, MapNode } from "../api/types";
import { health } from "./graph";

export type NodeFinding = { kind: "from"; edge: MapEdge } | { kind: "own" } | null;

/** The call that fails most from here if it fails more than the node itself, else the node. */
export function nodeFinding(node: MapNode, calls: readonly MapEdge[]): NodeFinding {
  if (health(node) === "ok") return null;
  const share = (x: { requests: number; errors: number }) => x.errors / Math.max(1, x.requests);
  const worst = calls
    .filter((e) => e.from === node.id && health(e) !== "ok")
    .sort((a, b) => share(b) - share(a))[0];
  return worst && share(worst) >= share(node) * 0.5
    ? { kind: "from", edge: worst }
    : { kind: "own" };
}
