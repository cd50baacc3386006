/**
 * One trace as a tree of rows, ready to be folded and drawn.
 *
 * Comes in:  the columns of `GET /traces/{id}/view`, parents before children.
 * Goes out:  a [`TraceTree`]: the same columns plus a placeholder row for each parent we never got.
 * Pure: no clock, no DOM.
 */
import type { TraceView } from "../api/types";
import { type Nanos, nanos, type SpanId } from "../model/ids";

export const STATUS_ERROR = 2;
export const KIND = { server: 2, client: 3, producer: 4, consumer: 5 } as const;

/** Rows `0 .. spanCount` are spans; the rest are placeholders for missing parents. */
export interface TraceTree {
  readonly view: TraceView;
  readonly rowCount: number;
  readonly spanCount: number;
  /** Nanoseconds from the start of the trace to its last end. Never zero. */
  readonly total: Nanos;
  readonly parent: Int32Array;
  readonly depth: Int32Array;
  /** All rows, parents before children, each subtree in one piece. */
  readonly preorder: Int32Array;
  /** How many rows a subtree has, itself included. `preorder` can skip by it. */
  readonly size: Int32Array;
  /** 1 = no sibling comes after it, so no line runs on beneath. */
  readonly last: Uint8Array;
  /** How many failed spans a subtree has, itself included. */
  readonly errors: Int32Array;
  readonly start: Float64Array;
  /** Always >= start: a negative duration is drawn as a point, an absent one up to the trace's end. */
  readonly end: Float64Array;
  /** Offsets of the events of a row, in no order. */
  readonly events: ReadonlyMap<number, readonly number[]>;
}

/** Builds the tree. Linear in the number of spans. */
export function buildTree(view: TraceView): TraceTree {
  const spanCount = view.spans.spanId.length;
  const missing = new Map<string, number>();
  for (let row = 0; row < spanCount; row++) {
    const id = view.spans.missingParent[row] ?? "";
    if (id !== "" && !missing.has(id)) missing.set(id, spanCount + missing.size);
  }
  const rowCount = spanCount + missing.size;
  const parent = new Int32Array(rowCount).fill(-1);
  const start = new Float64Array(rowCount);
  const end = new Float64Array(rowCount);
  let total = Math.max(1, view.durationNano);
  for (let row = 0; row < spanCount; row++) {
    const lost = missing.size > 0 ? missing.get(view.spans.missingParent[row] ?? "") : undefined;
    parent[row] = lost ?? view.spans.parent[row] ?? -1;
    start[row] = view.spans.start[row] ?? 0;
    end[row] = at(start, row) + Math.max(0, view.spans.duration[row] ?? 0);
    total = Math.max(total, at(end, row));
  }
  for (let row = 0; row < spanCount; row++) {
    if (view.spans.duration[row] === null) end[row] = total;
  }
  start.fill(total, spanCount);
  for (let row = 0; row < spanCount; row++) {
    const up = at(parent, row);
    if (up < spanCount) continue;
    start[up] = Math.min(at(start, up), at(start, row));
    end[up] = Math.max(at(end, up), at(end, row));
  }
  const order = walk(parent, start, rowCount);
  const size = new Int32Array(rowCount).fill(1);
  const errors = new Int32Array(rowCount);
  for (let i = rowCount - 1; i >= 0; i--) {
    const row = at(order.preorder, i);
    if (row < spanCount && view.spans.status[row] === STATUS_ERROR)
      errors[row] = at(errors, row) + 1;
    const up = at(parent, row);
    if (up < 0) continue;
    size[up] = at(size, up) + at(size, row);
    errors[up] = at(errors, up) + at(errors, row);
  }
  const events = new Map<number, number[]>();
  for (const [row, offset] of view.eventTimes) {
    if (row === undefined || offset === undefined) continue;
    const list = events.get(row);
    if (list) list.push(offset);
    else events.set(row, [offset]);
  }
  return {
    view,
    rowCount,
    spanCount,
    total: nanos(total),
    parent,
    start,
    end,
    size,
    errors,
    events,
    ...order,
  };
}

/** Rows from parents to children, siblings by start, and how deep each is. */
function walk(parent: Int32Array, start: Float64Array, rowCount: number) {
  // Latest first, so that linking in front leaves the earliest sibling first.
  const rows = Int32Array.from(start, (_, i) => rowCount - 1 - i);
  if (!siblingsInOrder(parent, start)) rows.sort((a, b) => at(start, b) - at(start, a) || b - a);
  const first = new Int32Array(rowCount).fill(-1);
  const next = new Int32Array(rowCount).fill(-1);
  let firstRoot = -1;
  for (const row of rows) {
    const up = at(parent, row);
    if (up < 0) {
      next[row] = firstRoot;
      firstRoot = row;
    } else {
      next[row] = at(first, up);
      first[up] = row;
    }
  }
  const preorder = new Int32Array(rowCount);
  const depth = new Int32Array(rowCount);
  let written = 0;
  let row = firstRoot;
  while (row >= 0) {
    preorder[written++] = row;
    const up = at(parent, row);
    depth[row] = up < 0 ? 0 : at(depth, up) + 1;
    if (at(first, row) >= 0) {
      row = at(first, row);
      continue;
    }
    while (row >= 0 && at(next, row) < 0) row = at(parent, row);
    if (row >= 0) row = at(next, row);
  }
  const last = Uint8Array.from(next, (sibling) => (sibling < 0 ? 1 : 0));
  return { preorder: preorder.subarray(0, written), depth, last };
}

/** As the server sends them; a missing parent comes after all and may have begun before some. */
function siblingsInOrder(parent: Int32Array, start: Float64Array): boolean {
  const latest = new Float64Array(parent.length + 1);
  return start.every((begun, row) => {
    const up = at(parent, row) + 1;
    if (begun < at(latest, up)) return false;
    latest[up] = begun;
    return true;
  });
}

export function at(array: Int32Array | Float64Array | Uint8Array, index: number): number {
  return array[index] ?? 0;
}

export const isPlaceholder = (tree: TraceTree, row: number) => row >= tree.spanCount;
export const isError = (tree: TraceTree, row: number) =>
  tree.view.spans.status[row] === STATUS_ERROR;
export const serviceOf = (tree: TraceTree, row: number) =>
  tree.view.services[tree.view.spans.service[row] ?? -1] ?? "";
export const nameOf = (tree: TraceTree, row: number) =>
  tree.view.names[tree.view.spans.name[row] ?? -1] ?? "";
export const durationOf = (tree: TraceTree, row: number): number | null =>
  isPlaceholder(tree, row)
    ? at(tree.end, row) - at(tree.start, row)
    : (tree.view.spans.duration[row] ?? null);

/** The span id of a row; for a placeholder, the id that was named as parent and never came. */
export function spanIdOf(tree: TraceTree, row: number): SpanId {
  if (!isPlaceholder(tree, row)) return (tree.view.spans.spanId[row] ?? "") as SpanId;
  const child = tree.parent.indexOf(row);
  return (tree.view.spans.missingParent[child] ?? "") as SpanId;
}

/** The row of a span id, or -1. */
export const rowOf = (tree: TraceTree, id: string) => tree.view.spans.spanId.indexOf(id);

export function children(tree: TraceTree, row: number): number[] {
  const out: number[] = [];
  const from = tree.preorder.indexOf(row);
  for (let i = from + 1; i < from + at(tree.size, row); i += at(tree.size, at(tree.preorder, i))) {
    out.push(at(tree.preorder, i));
  }
  return out;
}

/** From the root down to the row itself. */
export function pathTo(tree: TraceTree, row: number): number[] {
  const path: number[] = [];
  for (let up = row; up >= 0; up = at(tree.parent, up)) path.unshift(up);
  return path;
}

/** The failed spans beneath which nothing failed, earliest first: where the trouble began. */
export function failingLeaves(tree: TraceTree): number[] {
  const leaves: number[] = [];
  for (const row of tree.preorder) {
    if (row < tree.spanCount && isError(tree, row) && at(tree.errors, row) === 1) leaves.push(row);
  }
  return leaves.sort((a, b) => at(tree.start, a) - at(tree.start, b) || a - b);
}

/** Time in which a span ran and none of its children did. */
export function selfTime(tree: TraceTree, row: number): Nanos {
  const from = at(tree.start, row);
  const to = at(tree.end, row);
  let busy = 0;
  let reached = from;
  for (const child of children(tree, row)) {
    const childFrom = Math.max(reached, at(tree.start, child));
    const childTo = Math.min(to, at(tree.end, child));
    if (childTo <= childFrom) continue;
    busy += childTo - childFrom;
    reached = childTo;
  }
  return nanos(Math.max(0, to - from - busy));
}

/** The self time of every row, in one pass. */
export function selfTimes(tree: TraceTree): Float64Array {
  const self = Float64Array.from(tree.end, (end, row) => end - at(tree.start, row));
  const reached = tree.start.slice();
  for (const row of tree.preorder) {
    const up = at(tree.parent, row);
    if (up < 0) continue;
    const from = Math.max(at(reached, up), at(tree.start, row));
    const to = Math.min(at(tree.end, up), at(tree.end, row));
    if (to <= from) continue;
    self[up] = Math.max(0, at(self, up) - (to - from));
    reached[up] = to;
  }
  return self;
}

/** Where a row stands in the order of the tree. */
export const orderOf = (tree: TraceTree, row: number) => tree.preorder.indexOf(row);

/** Why a parent may be missing, by what is known; the words are the caller's. */
export type MissingReason = "young" | "caller" | "process";

/** A young trace may still be arriving; a server's lost parent is another process, else it is its own. */
export function missingReason(tree: TraceTree, placeholder: number, ageMs: number): MissingReason {
  if (ageMs < 60_000) return "young";
  const kinds = children(tree, placeholder).map((row) => tree.view.spans.kind[row]);
  return kinds.some((k) => k === KIND.server || k === KIND.consumer) ? "caller" : "process";
}
