/**
 * Two traces as one tree: spans that have the same service and operation, under parents that have
 * too, stand in one line. Repeated siblings are one line with a count, so that a call made three
 * times in one trace and forty times in the other is seen as that.
 *
 * Pure: no clock, no DOM.
 */
import { at, isError, isPlaceholder, nameOf, serviceOf, type TraceTree } from "../trace/tree";

/** The tree ends here; what is beneath is left out and said so. */
export const LINES_MAX = 4_000;

/** The spans of one trace that stand in a line. */
export interface Side {
  /** Their rows, earliest first. */
  readonly rows: readonly number[];
  /** Nanoseconds in which at least one of them ran: parallel calls count once. */
  readonly busy: number;
  /** Nanoseconds in which they ran and none of their children did, added up. */
  readonly self: number;
  readonly errors: number;
  /** From the first start to the last end, in nanoseconds of the trace. */
  readonly from: number;
  readonly to: number;
}

export interface Line {
  readonly service: string;
  /** Empty for parents that were not received. */
  readonly name: string;
  readonly depth: number;
  /** The index of the line above it in the tree, or -1. */
  readonly parent: number;
  /** How many lines the subtree has, itself included. */
  readonly size: number;
  readonly a: Side | null;
  readonly b: Side | null;
  /** What the second trace says here, where the two begin with another operation. */
  readonly other: { readonly service: string; readonly name: string } | null;
}

export interface Aligned {
  readonly lines: readonly Line[];
  readonly truncated: boolean;
}

interface Half {
  readonly tree: TraceTree;
  readonly children: ReadonlyMap<number, readonly number[]>;
  readonly self: Float64Array;
}

interface Group {
  a: number[];
  b: number[];
}

interface Task extends Group {
  readonly depth: number;
  readonly parent: number;
}

/** Pairs two traces; `self` are the self times of every row, as `selfTimes` gives them. */
export function align(
  a: { tree: TraceTree; self: Float64Array },
  b: { tree: TraceTree; self: Float64Array },
  linesMax = LINES_MAX,
): Aligned {
  const [left, right] = [half(a.tree, a.self), half(b.tree, b.self)];
  const roots: Group = {
    a: [...(left.children.get(-1) ?? [])],
    b: [...(right.children.get(-1) ?? [])],
  };
  const lines: Omit<Line, "size">[] = [];
  // One root each is the same request, whatever it is called.
  const first =
    roots.a.length === 1 && roots.b.length === 1 ? [roots] : grouped(left, right, roots);
  const stack: Task[] = first.reverse().map((g) => ({ ...g, depth: 0, parent: -1 }));
  let truncated = false;
  for (let task = stack.pop(); task; task = stack.pop()) {
    if (lines.length >= linesMax) {
      truncated = true;
      break;
    }
    const index = lines.length;
    lines.push(lineOf(left, right, task));
    const beneath: Group = {
      a: task.a.flatMap((row) => left.children.get(row) ?? []),
      b: task.b.flatMap((row) => right.children.get(row) ?? []),
    };
    for (const group of grouped(left, right, beneath).reverse()) {
      stack.push({ ...group, depth: task.depth + 1, parent: index });
    }
  }
  const sizes = new Array<number>(lines.length).fill(1);
  for (let i = lines.length - 1; i >= 0; i--) {
    const up = lines[i]?.parent ?? -1;
    if (up >= 0) sizes[up] = (sizes[up] ?? 0) + (sizes[i] ?? 0);
  }
  return { lines: lines.map((line, i) => ({ ...line, size: sizes[i] ?? 1 })), truncated };
}

function half(tree: TraceTree, self: Float64Array): Half {
  const children = new Map<number, number[]>();
  for (const row of tree.preorder) {
    const up = at(tree.parent, row);
    const list = children.get(up);
    if (list) list.push(row);
    else children.set(up, [row]);
  }
  return { tree, children, self };
}

/** Groups by service and operation, in the order in which they begin. */
function grouped(left: Half, right: Half, { a, b }: Group): Group[] {
  const groups = new Map<string, Group>();
  const put = (side: "a" | "b", { tree }: Half, rows: readonly number[]) => {
    for (const row of rows) {
      const key = isPlaceholder(tree, row) ? "" : `${serviceOf(tree, row)}\n${nameOf(tree, row)}`;
      let group = groups.get(key);
      if (!group) {
        group = { a: [], b: [] };
        groups.set(key, group);
      }
      group[side].push(row);
    }
  };
  put("a", left, a);
  put("b", right, b);
  const firstOf = (tree: TraceTree, rows: readonly number[]) =>
    rows.reduce((least, row) => Math.min(least, at(tree.start, row)), Number.POSITIVE_INFINITY);
  const [fromA, fromB] = [firstOf(left.tree, a), firstOf(right.tree, b)];
  const since = (tree: TraceTree, rows: readonly number[], from: number) =>
    rows.length === 0 ? Number.POSITIVE_INFINITY : firstOf(tree, rows) - from;
  const begins = (g: Group) =>
    Math.min(since(left.tree, g.a, fromA), since(right.tree, g.b, fromB));
  return [...groups]
    .map(([key, group]) => ({ key, group, begins: begins(group) }))
    .sort((x, y) => x.begins - y.begins || (x.key < y.key ? -1 : 1))
    .map(({ group }) => group);
}

function lineOf(left: Half, right: Half, task: Task): Omit<Line, "size"> {
  const [a, b] = [sideOf(left, task.a), sideOf(right, task.b)];
  const said = ({ tree }: Half, side: Side | null) => {
    const row = side?.rows[0] ?? -1;
    return { service: serviceOf(tree, row), name: nameOf(tree, row) };
  };
  const own = a ? said(left, a) : said(right, b);
  const its = said(right, b);
  const differs =
    a !== null && b !== null && (own.service !== its.service || own.name !== its.name);
  return { ...own, depth: task.depth, parent: task.parent, a, b, other: differs ? its : null };
}

function sideOf({ tree, self }: Half, rows: readonly number[]): Side | null {
  if (rows.length === 0) return null;
  const order = [...rows].sort((x, y) => at(tree.start, x) - at(tree.start, y) || x - y);
  let busy = 0;
  let own = 0;
  let errors = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const row of order) {
    const end = at(tree.end, row);
    busy += Math.max(0, end - Math.max(reached, at(tree.start, row)));
    reached = Math.max(reached, end);
    own += isPlaceholder(tree, row) ? 0 : at(self, row);
    errors += row < tree.spanCount && isError(tree, row) ? 1 : 0;
  }
  return { rows: order, busy, self: own, errors, from: at(tree.start, order[0] ?? 0), to: reached };
}

export type Change = "new" | "gone" | "slower" | "faster" | "same";

/** Nanoseconds that the second trace spends more here; less is negative. */
export const gap = ({ a, b }: Pick<Line, "a" | "b">) => (b?.busy ?? 0) - (a?.busy ?? 0);

/** A gap counts when it is a tenth of what was there and a hundredth of the longer trace. */
export function changeOf(line: Pick<Line, "a" | "b">, totalNs: number): Change {
  if (!line.a) return "new";
  if (!line.b) return "gone";
  const by = gap(line);
  if (Math.abs(by) < Math.max(line.a.busy * 0.1, totalNs * 0.01)) return "same";
  return by > 0 ? "slower" : "faster";
}

/**
 * The line whose own time differs most, towards the longer trace (`gapNs` > 0: the second); when
 * both are as long, either way. `null` when it is less than a fifth of the difference and of nothing
 * that would be noticed: a hundredth of the longer trace.
 */
export function blame(
  lines: readonly Line[],
  gapNs: number,
  totalNs: number,
): { readonly line: Line; readonly ns: number } | null {
  let most: { line: Line; ns: number } | null = null;
  for (const line of lines) {
    const ns = (line.b?.self ?? 0) - (line.a?.self ?? 0);
    if (gapNs !== 0 && Math.sign(ns) !== Math.sign(gapNs)) continue;
    if (!most || Math.abs(ns) > Math.abs(most.ns)) most = { line, ns };
  }
  const least = Math.max(Math.abs(gapNs) * 0.2, totalNs * 0.01);
  return most && Math.abs(most.ns) >= least ? most : null;
}

/** The lines that fail in the second trace only, and beneath which no other does: where it begins. */
export function newFailures(lines: readonly Line[]): Set<number> {
  const fails = (line: Line | undefined) =>
    (line?.b?.errors ?? 0) > 0 && (line?.a?.errors ?? 0) === 0;
  const found = new Set<number>();
  const above = new Set<number>();
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i];
    if (!line || !(fails(line) || above.has(i))) continue;
    if (!above.has(i)) found.add(i);
    if (line.parent >= 0) above.add(line.parent);
  }
  return found;
}

/** Above this many lines only what leads to a change is open at first. */
export const OPEN_ALL_MAX = 60;

/** Which lines show what is beneath them at first: all of few, else those above a change. */
export function openAtFirst(lines: readonly Line[], changes: readonly Change[]): boolean[] {
  const open = lines.map(() => lines.length <= OPEN_ALL_MAX);
  if (lines.length <= OPEN_ALL_MAX) return open;
  for (const up of aboveChanges(lines, changes)) {
    // What is new or gone as a whole needs one line.
    const change = changes[up];
    open[up] = change !== "new" && change !== "gone";
  }
  if (open.length > 0) open[0] = true;
  return open;
}

/** The lines that have a change somewhere beneath them. */
function aboveChanges(lines: readonly Line[], changes: readonly Change[]): Set<number> {
  const above = new Set<number>();
  for (let i = 0; i < lines.length; i++) {
    if (changes[i] === "same") continue;
    for (let up = lines[i]?.parent ?? -1; up >= 0 && !above.has(up); up = lines[up]?.parent ?? -1) {
      above.add(up);
    }
  }
  return above;
}

/**
 * The lines that say a difference, and those above them. Of a subtree that is new or gone as a whole
 * only the topmost line: the rest of it is no other difference.
 */
export function differing(lines: readonly Line[], changes: readonly Change[]): Set<number> {
  const isWhole = (i: number) => changes[i] === "new" || changes[i] === "gone";
  const kept = new Set<number>();
  for (let i = 0; i < lines.length; i++) {
    const parent = lines[i]?.parent ?? -1;
    if (changes[i] === "same" || (isWhole(parent) && changes[parent] === changes[i])) continue;
    for (let up = i; up >= 0 && !kept.has(up); up = lines[up]?.parent ?? -1) kept.add(up);
  }
  return kept;
}

/** The lines to show, in order: those whose ancestors are open; with `only`, those of it alone. */
export function shownLines(
  lines: readonly Line[],
  open: readonly boolean[],
  only: ReadonlySet<number> | null,
): number[] {
  const out: number[] = [];
  for (let i = 0; i < lines.length; ) {
    if (only) {
      if (only.has(i)) out.push(i);
      i += 1;
    } else {
      out.push(i);
      i += open[i] ? 1 : (lines[i]?.size ?? 1);
    }
  }
  return out;
}
