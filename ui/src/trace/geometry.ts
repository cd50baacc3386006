/** Where things are in the waterfall, in CSS pixels. Pure. */
import { at, type TraceTree } from "./tree";

export const ROW = 26;
export const INDENT = 13;
/** Deeper than this, rows stop moving right: their names would leave the column. */
const INDENT_LEVELS_MAX = 14;
const PAD = 16;

/** The shown part of the trace as two shares, and the columns of the page. */
export interface Frame {
  readonly width: number;
  /** The depth of the topmost row: only a subtree may be shown. */
  readonly depth: number;
  readonly names: number;
  readonly zoom: readonly [number, number];
}

export const TIME_PAD = 12;

export const namesWidth = (width: number) => Math.round(Math.min(420, Math.max(170, width * 0.36)));

/** So narrow, names and times cannot both be read: the column of names is hidden at first. */
export const NARROW = 640;

/** Where the fold mark of a row is. */
export const caretX = (depth: number) => PAD + Math.min(depth, INDENT_LEVELS_MAX) * INDENT;

/** The x of a moment, in nanoseconds of the trace. May lie outside the frame. */
export function timeX(frame: Frame, total: number, ns: number): number {
  const [from, to] = frame.zoom;
  const width = frame.width - frame.names - TIME_PAD * 2;
  return frame.names + TIME_PAD + ((ns / total - from) / (to - from)) * width;
}

export interface Bar {
  readonly x: number;
  readonly width: number;
  /** Whether any of it lies in the frame. */
  readonly shown: boolean;
}

/** A bar is at least 2 px wide, so that no span is invisible. */
export function bar(frame: Frame, tree: TraceTree, row: number): Bar {
  const x = timeX(frame, tree.total, at(tree.start, row));
  const end = timeX(frame, tree.total, at(tree.end, row));
  const left = Math.max(x, frame.names - 4);
  const right = Math.min(end, frame.width + 4);
  return {
    x: left,
    width: Math.max(2, right - left),
    shown: end >= frame.names && x <= frame.width,
  };
}

/** Where the duration of a bar is written: after it, before it when there is no room, else inside. */
export function labelPlace(
  frame: Frame,
  { x, width }: Bar,
  textWidth: number,
): { x: number; align: "left" | "right"; inside: boolean } {
  const gap = 6;
  if (x + width + gap + textWidth <= frame.width - 4) {
    return { x: x + width + gap, align: "left", inside: false };
  }
  if (x - gap - textWidth >= frame.names) return { x: x - gap, align: "right", inside: false };
  return { x: Math.min(x + width, frame.width) - gap, align: "right", inside: true };
}

/** The rows that touch the view, one spare on each side. */
export function shownRange(scrollTop: number, height: number, count: number) {
  const first = Math.max(0, Math.floor(scrollTop / ROW) - 1);
  const last = Math.min(count, Math.ceil((scrollTop + height) / ROW) + 1);
  return { first, last };
}

/** A zoom of at least a ten-thousandth, kept inside the whole. */
export function clampZoom(from: number, to: number): readonly [number, number] {
  const width = Math.min(1, Math.max(1e-4, to - from));
  const start = Math.min(1 - width, Math.max(0, from));
  return [start, start + width];
}

/** Zooms by `factor` and keeps the moment under the pointer (a share of the whole) in its place. */
export function zoomAt(
  [from, to]: readonly [number, number],
  pivot: number,
  factor: number,
): readonly [number, number] {
  return clampZoom(pivot - (pivot - from) * factor, pivot + (to - pivot) * factor);
}
