/**
 * What is shown of one trace: which rows are open, selected and found. What a link must say lives in
 * the URL; only folding lives here.
 */
import { traceLogs, traceOtlp } from "../api/client";
import type { LogRecord, TraceLogs, TraceView } from "../api/types";
import type { TraceId } from "../model/ids";
import { Load } from "../shared/load.svelte";
import { router } from "../shared/router.svelte";
import { criticalPath, criticalRows, type Stretch } from "./critical-path";
import { clampZoom } from "./geometry";
import {
  carryOpen,
  findRows,
  type Open,
  openAtFirst,
  reveal,
  sibling,
  visibleRows,
  withAncestors,
} from "./rows";
import { at, buildTree, failingLeaves, isError, rowOf, spanIdOf, type TraceTree } from "./tree";
import { readWhole, WHOLE_SPANS_MAX, type Whole } from "./whole";

/** The ways to look at a trace, in the order of their tabs. */
export const VIEWS = ["waterfall", "flame", "graph", "spans", "logs"] as const;
export type ViewName = (typeof VIEWS)[number];

export class TraceState {
  readonly id: TraceId;
  readonly tree: TraceTree;
  readonly stretches: Stretch[];
  /** The failed spans beneath which nothing failed, earliest first. */
  readonly leaves: number[];
  open = $state.raw<Open>(new Uint8Array());
  /** A selected placeholder has no span id that the URL could hold. */
  #placeholder = $state<number | null>(null);

  readonly view: ViewName = $derived(VIEWS.find((v) => v === router.get("view")) ?? "waterfall");
  readonly find = $derived(router.get("find"));
  readonly zoom = $derived(router.get("z"));
  readonly filters = $derived(router.get("match") === "filter" && this.find.trim() !== "");
  readonly onlyErrors = $derived(router.get("errors"));
  /** The row that alone is shown with what is beneath it, or -1. */
  readonly top: number = $derived.by(() => {
    const wanted = router.get("sub");
    return wanted ? rowOf(this.tree, wanted) : -1;
  });
  readonly selected: number = $derived.by(() => {
    const wanted = router.get("s");
    const row = wanted ? rowOf(this.tree, wanted) : -1;
    return row >= 0 ? row : (this.#placeholder ?? this.leaves[0] ?? at(this.tree.preorder, 0));
  });
  readonly critical: ReadonlyMap<number, readonly Stretch[]> | null = $derived.by(() =>
    router.get("critical") ? byRow(this.stretches) : null,
  );
  /** Attributes, events and links of all spans: asked for once something needs them. */
  readonly whole: Load<Whole>;
  readonly isWholeKept: boolean;
  /** Log records: asked for by their view, or once a span is shown and nothing waits any more. */
  readonly logs: Load<TraceLogs>;
  wantsLogs = $state(false);
  /** The record that was chosen last: it is open beside its span. */
  picked = $state.raw<LogRecord | null>(null);
  readonly hits: number[] = $derived.by(() =>
    findRows(this.tree, this.find, this.whole.value?.texts ?? null),
  );
  readonly hitSet: ReadonlySet<number> = $derived.by(() => new Set(this.filters ? [] : this.hits));
  readonly rows: Int32Array = $derived.by(() =>
    visibleRows(this.tree, this.open, this.#kept(), this.top),
  );

  /** `before` is the same trace with fewer spans: what the user had open stays so. */
  constructor(id: TraceId, view: TraceView, before: TraceState | null) {
    this.id = id;
    this.tree = buildTree(view);
    this.stretches = criticalPath(this.tree);
    this.leaves = failingLeaves(this.tree);
    const fresh = openAtFirst(this.tree, criticalRows(this.stretches, this.tree.rowCount));
    const open = before ? carryOpen(before.tree, before.open, this.tree, fresh) : fresh;
    this.isWholeKept = this.tree.spanCount <= WHOLE_SPANS_MAX;
    this.whole = new Load((signal) => {
      const wanted = this.view === "logs" || this.find.trim().length > 1;
      return wanted && this.isWholeKept ? traceOtlp(id, signal).then(readWhole) : null;
    });
    this.wantsLogs = before?.wantsLogs ?? false;
    this.logs = new Load((signal) =>
      this.wantsLogs || this.view === "logs" ? traceLogs(id, signal) : null,
    );
    this.open = reveal(this.tree, open, this.selected);
  }

  #kept(): Uint8Array | null {
    if (!this.filters && !this.onlyErrors) return null;
    const failed = (row: number) => isError(this.tree, row);
    const wanted = this.filters ? this.hits : Array.from(this.tree.preorder).filter(failed);
    return withAncestors(
      this.tree,
      this.filters && this.onlyErrors ? wanted.filter(failed) : wanted,
    );
  }

  select = (row: number): void => {
    if (row < 0) return;
    if (!this.rows.includes(row)) this.open = reveal(this.tree, this.open, row);
    this.#placeholder = row >= this.tree.spanCount ? row : null;
    const outside = this.top >= 0 && !this.rows.includes(row);
    router.tune({
      s: this.#placeholder === null ? spanIdOf(this.tree, row) : null,
      ...(outside ? { sub: null } : {}),
    });
  };

  toggle = (row: number): void => {
    const next = this.open.slice();
    next[row] = next[row] ? 0 : 1;
    this.open = next;
  };

  foldAll(value: 0 | 1): void {
    const next = new Uint8Array(this.tree.rowCount).fill(value);
    const roots = this.top >= 0 ? [this.top] : this.tree.preorder;
    for (const row of roots) if (row === this.top || at(this.tree.parent, row) < 0) next[row] = 1;
    this.open = next;
  }

  /** Shows only a row and what is beneath it, over its own stretch of time; -1 shows all again. */
  only = (row: number): void => {
    const { tree } = this;
    if (row < 0 || row >= tree.spanCount) {
      router.go({ sub: null, z: [0, 1] });
      return;
    }
    const margin = (at(tree.end, row) - at(tree.start, row)) * 0.02;
    const z = clampZoom(
      (at(tree.start, row) - margin) / tree.total,
      (at(tree.end, row) + margin) / tree.total,
    );
    const id = spanIdOf(tree, row);
    this.open = Uint8Array.from(this.open, (v, r) => (r === row ? 1 : v));
    router.go({ sub: id, s: id, z });
  };

  /** The next of `among` after the selected row, round and round. */
  next(among: readonly number[], step: 1 | -1 = 1): void {
    if (among.length === 0) return;
    const here = among.indexOf(this.selected);
    const index = here < 0 ? (step > 0 ? 0 : among.length - 1) : here + step;
    this.select(among[(index + among.length) % among.length] ?? -1);
  }

  move(step: 1 | -1): void {
    const index = this.rows.indexOf(this.selected);
    const row = this.rows[Math.min(this.rows.length - 1, Math.max(0, index + step))];
    if (row !== undefined) this.select(row);
  }

  /** Unfolds, then goes to the first child. */
  unfold(): void {
    if (at(this.tree.size, this.selected) < 2) return;
    if (this.open[this.selected]) this.move(1);
    else this.toggle(this.selected);
  }

  /** Folds, then goes to the parent. */
  fold(): void {
    const row = this.selected;
    if (this.open[row] && at(this.tree.size, row) > 1) this.toggle(row);
    else this.select(at(this.tree.parent, row));
  }

  zoomTo = (z: readonly [number, number]): void => router.tune({ z });

  zoomBy(factor: number): void {
    const middle = (this.zoom[0] + this.zoom[1]) / 2;
    const half = ((this.zoom[1] - this.zoom[0]) / 2) * factor;
    this.zoomTo(clampZoom(middle - half, middle + half));
  }

  show(view: ViewName): void {
    router.go({ view: view === "waterfall" ? null : view });
  }

  /** What a key does here, or nothing. */
  readonly keys: Readonly<Record<string, () => void>> = {
    j: () => this.move(1),
    k: () => this.move(-1),
    ArrowDown: () => this.move(1),
    ArrowUp: () => this.move(-1),
    l: () => this.unfold(),
    ArrowRight: () => this.unfold(),
    h: () => this.fold(),
    ArrowLeft: () => this.fold(),
    e: () => this.next(this.leaves),
    E: () => this.next(this.leaves, -1),
    n: () => this.next(this.hits),
    N: () => this.next(this.hits, -1),
    c: () => router.tune({ critical: !router.get("critical") }),
    f: () => this.show(this.view === "flame" ? "waterfall" : "flame"),
    x: () => router.go({ errors: !this.onlyErrors }),
    o: () => this.only(this.top === this.selected ? -1 : this.selected),
    "[": () => this.select(at(this.tree.parent, this.selected)),
    "]": () => this.select(sibling(this.tree, this.selected, 1)),
    "+": () => this.zoomBy(0.5),
    "-": () => this.zoomBy(2),
    "0": () => this.zoomTo([0, 1]),
  };
}

function byRow(all: readonly Stretch[]): Map<number, Stretch[]> {
  const map = new Map<number, Stretch[]>();
  for (const stretch of all) {
    const list = map.get(stretch.row);
    if (list) list.push(stretch);
    else map.set(stretch.row, [stretch]);
  }
  return map;
}
