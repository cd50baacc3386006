/** Which rows are to be seen: folding and finding. Pure; the component keeps the state. */
import { at, isPlaceholder, nameOf, orderOf, serviceOf, type TraceTree } from "./tree";

/** Above this many spans a trace opens folded, but for what failed or was waited for. */
export const SMART_FOLD_ABOVE = 400;

/** 1 = its children are shown. */
export type Open = Uint8Array;

/** How a trace opens: all of it when small, else only what failed or was waited for. */
export function openAtFirst(tree: TraceTree, critical: Uint8Array): Open {
  const open = new Uint8Array(tree.rowCount).fill(1);
  if (tree.spanCount <= SMART_FOLD_ABOVE) return open;
  for (let row = 0; row < tree.rowCount; row++) {
    const ownErrors = at(tree.errors, row) - (tree.view.spans.status[row] === 2 ? 1 : 0);
    const isRoot = at(tree.parent, row) < 0;
    open[row] = isRoot || ownErrors > 0 || (at(critical, row) && at(tree.depth, row) < 3) ? 1 : 0;
  }
  return open;
}

/** A copy with everything above `row` opened, so that the row is to be seen. */
export function reveal(tree: TraceTree, open: Open, row: number): Open {
  const next = open.slice();
  for (let up = at(tree.parent, row); up >= 0; up = at(tree.parent, up)) next[up] = 1;
  return next;
}

/**
 * The rows to draw, in order. With `kept`, only those (a find that filters); folding is ignored then.
 * With `top`, only that row and what is beneath it.
 */
export function visibleRows(
  tree: TraceTree,
  open: Open,
  kept: Uint8Array | null,
  top = -1,
): Int32Array {
  const first = top < 0 ? 0 : orderOf(tree, top);
  const end = top < 0 ? tree.preorder.length : first + at(tree.size, top);
  const out = new Int32Array(end - first);
  let written = 0;
  for (let i = first; i < end; ) {
    const row = at(tree.preorder, i);
    if (kept) {
      if (kept[row]) out[written++] = row;
      i += 1;
    } else {
      out[written++] = row;
      i += open[row] ? 1 : at(tree.size, row);
    }
  }
  return out.subarray(0, written);
}

/**
 * The rows whose service, name, status message or id holds the text, in the order of the tree; with
 * `texts`, also those whose attributes do: `key=value`, a line each, in lower case, by span id.
 */
export function findRows(
  tree: TraceTree,
  text: string,
  texts: ReadonlyMap<string, string> | null = null,
): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const serviceHit = tree.view.services.map((s) => s.toLowerCase().includes(wanted));
  const nameHit = tree.view.names.map((n) => n.toLowerCase().includes(wanted));
  const { service, name, statusMessage, spanId } = tree.view.spans;
  const hits: number[] = [];
  for (const row of tree.preorder) {
    if (row >= tree.spanCount) continue;
    const hit =
      serviceHit[service[row] ?? -1] ||
      nameHit[name[row] ?? -1] ||
      statusMessage[row]?.toLowerCase().includes(wanted) ||
      spanId[row] === wanted ||
      texts?.get(spanId[row] ?? "")?.includes(wanted);
    if (hit) hits.push(row);
  }
  return hits;
}

/** The found rows and all above them, so that each keeps its place in the tree. */
export function withAncestors(tree: TraceTree, rows: readonly number[]): Uint8Array {
  const kept = new Uint8Array(tree.rowCount);
  for (const row of rows) {
    for (let up = row; up >= 0 && !kept[up]; up = at(tree.parent, up)) kept[up] = 1;
  }
  return kept;
}

/** The next or previous sibling, or -1. */
export function sibling(tree: TraceTree, row: number, step: 1 | -1): number {
  const up = at(tree.parent, row);
  const rows = tree.preorder.filter((r) => at(tree.parent, r) === up);
  return rows[rows.indexOf(row) + step] ?? -1;
}

/** What a screen reader says for a row, and what its hidden text is. */
export function rowText(tree: TraceTree, row: number, missing: (row: number) => string) {
  return isPlaceholder(tree, row)
    ? { service: "", name: missing(row) }
    : { service: serviceOf(tree, row), name: nameOf(tree, row) };
}

/** What the user had open stays open when the same trace comes again with more spans. */
export function carryOpen(from: TraceTree, open: Open, to: TraceTree, fresh: Open): Open {
  const known = new Map(from.view.spans.spanId.map((id, row) => [id, open[row] ?? 0]));
  const next = fresh.slice();
  for (let row = 0; row < to.spanCount; row++) {
    const was = known.get(to.view.spans.spanId[row] ?? "");
    if (was !== undefined) next[row] = was;
  }
  return next;
}
