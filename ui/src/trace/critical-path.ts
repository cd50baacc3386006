/**
 * Which spans the end of the trace waited for.
 *
 * Walks back from the end of the root: the child that ended last held the parent up until it began,
 * then the child that had ended before that, and so on down. What runs after its parent's end (a
 * message consumer) held nobody up.
 */
import { at, type TraceTree } from "./tree";

/** A stretch of a row that is on the critical path, in nanoseconds of the trace. */
export interface Stretch {
  readonly row: number;
  readonly from: number;
  readonly to: number;
}

/** The stretches in which a row itself was what was waited for, latest first. */
export function criticalPath(tree: TraceTree): Stretch[] {
  const children: number[][] = Array.from({ length: tree.rowCount }, () => []);
  let root = -1;
  for (const row of tree.preorder) {
    const up = at(tree.parent, row);
    if (up >= 0) children[up]?.push(row);
    else if (
      root < 0 ||
      at(tree.end, row) - at(tree.start, row) > at(tree.end, root) - at(tree.start, root)
    ) {
      root = row;
    }
  }
  if (root < 0) return [];
  const out: Stretch[] = [];
  const stack = [{ row: root, until: at(tree.end, root) }];
  for (let task = stack.pop(); task; task = stack.pop()) {
    let cursor = task.until;
    const from = at(tree.start, task.row);
    const byEnd = (children[task.row] ?? [])
      .slice()
      .sort((a, b) => at(tree.end, b) - at(tree.end, a) || b - a);
    for (const child of byEnd) {
      const childEnd = at(tree.end, child);
      const childFrom = Math.max(from, at(tree.start, child));
      if (childEnd > cursor || childEnd <= childFrom || childFrom >= cursor) continue;
      if (cursor > childEnd) out.push({ row: task.row, from: childEnd, to: cursor });
      stack.push({ row: child, until: childEnd });
      cursor = childFrom;
      if (cursor <= from) break;
    }
    if (cursor > from) out.push({ row: task.row, from, to: cursor });
  }
  return out;
}

/** Which rows have a stretch on the path. */
export function criticalRows(path: readonly Stretch[], rowCount: number): Uint8Array {
  const on = new Uint8Array(rowCount);
  for (const { row } of path) on[row] = 1;
  return on;
}
