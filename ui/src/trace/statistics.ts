/** Which operations and services a trace spent its time in. Pure. */
import { at, isError, nameOf, selfTimes, serviceOf, type TraceTree } from "./tree";

export type By = "operation" | "service" | "span";

/** One line of the span table. Times are nanoseconds. */
export interface Line {
  readonly key: string;
  readonly service: string;
  readonly name: string;
  /** The slowest span of the line. */
  readonly row: number;
  readonly count: number;
  readonly errors: number;
  /** The sum of what each span took, so parallel work counts more than once. */
  readonly total: number;
  readonly self: number;
  readonly longest: number;
  /** The 95th percentile of the durations, by the nearest rank. */
  readonly p95: number;
}

export type Column = "name" | "count" | "errors" | "total" | "self" | "longest" | "p95" | "start";

interface Sum {
  line: { -readonly [K in keyof Line]: Line[K] };
  durations: number[];
}

/** The lines of a trace, or of the subtree of `rows`, in no order. */
export function statistics(tree: TraceTree, by: By, rows: Int32Array = tree.preorder): Line[] {
  const self = selfTimes(tree);
  const sums = new Map<string, Sum>();
  for (const row of rows) {
    if (row >= tree.spanCount) continue;
    const service = serviceOf(tree, row);
    const name = by === "service" ? "" : nameOf(tree, row);
    const key = by === "span" ? String(row) : `${service}\n${name}`;
    const took = at(tree.end, row) - at(tree.start, row);
    let sum = sums.get(key);
    if (!sum) {
      const none = { count: 0, errors: 0, total: 0, self: 0, longest: -1, p95: 0 };
      sum = { line: { key, service, name, row, ...none }, durations: [] };
      sums.set(key, sum);
    }
    const { line } = sum;
    line.count += 1;
    line.errors += isError(tree, row) ? 1 : 0;
    line.total += took;
    line.self += at(self, row);
    if (took > line.longest) {
      line.longest = took;
      line.row = row;
    }
    sum.durations.push(took);
  }
  return [...sums.values()].map(({ line, durations }) => {
    durations.sort((a, b) => a - b);
    line.p95 = durations[Math.ceil(durations.length * 0.95) - 1] ?? 0;
    return line;
  });
}

/** Sorts by a column; names and starts upwards, numbers downwards, unless turned round. */
export function sortLines(
  tree: TraceTree,
  lines: readonly Line[],
  column: Column,
  turned: boolean,
): Line[] {
  const sign = turned ? -1 : 1;
  const names = (a: Line, b: Line) =>
    a.service.localeCompare(b.service) || a.name.localeCompare(b.name);
  return [...lines].sort((a, b) => {
    if (column === "name") return sign * names(a, b) || a.row - b.row;
    if (column === "start") return sign * (at(tree.start, a.row) - at(tree.start, b.row));
    return sign * (b[column] - a[column]) || names(a, b) || a.row - b.row;
  });
}
