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
  const { preorder, size } = tree;
  const places = new Int32Array(tree.rowCount);
  preorder.forEach((row, place) => {
    places[row] = place;
  });
  const length = (row: number) => at(tree.end, row) - at(tree.start, row);
  let root = -1;
  // From root to root: what hangs beneath one is passed over.
  for (let i = 0; i < preorder.length; i += at(size, at(preorder, i))) {
    const row = at(preorder, i);
    if (root < 0 || length(row) > length(root)) root = row;
  }
  if (root < 0) return [];
  const out: Stretch[] = [];
  const stack = [{ row: root, until: at(tree.end, root) }];
  for (let task = stack.pop(); task; task = stack.pop()) {
    let cursor = task.until;
    const from = at(tree.start, task.row);
    const children: number[] = [];
    const place = at(places, task.row);
    for (let i = place + 1; i < place + at(size, task.row); i += at(size, at(preorder, i))) {
      children.push(at(preorder, i));
    }
    children.sort((a, b) => at(tree.end, b) - at(tree.end, a) || b - a);
    for (const child of children) {
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
