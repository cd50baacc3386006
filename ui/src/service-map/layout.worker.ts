/** Lays the map out off the main thread: a large one takes a second. */
import type { MapEdge } from "../api/types";
import type { Kept, Layout } from "./boxes";
import type { Graph } from "./graph";
import { layoutGraph } from "./layout";
import { type Point, routeEdges } from "./routes";

export interface LayoutQuestion {
  readonly number: number;
  readonly graph: Graph;
  readonly kept: Readonly<Record<string, Kept>>;
}

export interface LayoutAnswer {
  readonly number: number;
  readonly layout: Layout;
  readonly routes: readonly { readonly edge: MapEdge; readonly path: readonly Point[] }[];
}

self.onmessage = ({ data }: MessageEvent<LayoutQuestion>) => {
  const layout = layoutGraph(data.graph, data.kept);
  const paths = routeEdges(data.graph.edges, layout);
  const routes = data.graph.edges.map((edge, i) => ({ edge, path: paths[i] ?? [] }));
  self.postMessage({ number: data.number, layout, routes } satisfies LayoutAnswer);
};
