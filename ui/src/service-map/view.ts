/** Which part of the paper is seen, and how large. Pure. */
import type { Rect } from "./boxes";

/** A point of the paper is drawn at `(x + px * k, y + py * k)`. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly k: number;
}

export interface Inset {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const SCALE_MAX = 1.1;
const ZOOM = { least: 0.12, most: 2.2 } as const;

/**
 * The view in which all rectangles are seen, not larger than life; `null` when there is none. Where
 * that would be smaller than `least`, their upper left corner is seen at that scale.
 */
export function fitted(
  rects: readonly Rect[],
  size: Size,
  inset: Inset,
  pad: number,
  least = 0,
): View | null {
  if (rects.length === 0 || size.width === 0) return null;
  const left = Math.min(...rects.map((r) => r.x));
  const top = Math.min(...rects.map((r) => r.y));
  const right = Math.max(...rects.map((r) => r.x + r.width));
  const bottom = Math.max(...rects.map((r) => r.y + r.height));
  const w = Math.max(40, size.width - inset.left - inset.right);
  const h = Math.max(40, size.height - inset.top - inset.bottom);
  const k = Math.min(SCALE_MAX, w / (right - left + pad * 2), h / (bottom - top + pad * 2));
  if (k < least) return { k: least, x: inset.left - left * least, y: inset.top - top * least };
  return {
    k,
    x: inset.left + (w - (right - left) * k) / 2 - left * k,
    y: inset.top + (h - (bottom - top) * k) / 2 - top * k,
  };
}

/** Zooms by a factor; the point under the pointer stays where it is. */
export function zoomedAt(view: View, x: number, y: number, factor: number): View {
  const k = Math.min(ZOOM.most, Math.max(ZOOM.least, view.k * factor));
  return { k, x: x - ((x - view.x) / view.k) * k, y: y - ((y - view.y) / view.k) * k };
}

/** The view moved so that the rectangle is inside; the same view when it already is. */
export function broughtIn(view: View, rect: Rect, size: Size, inset: Inset): View {
  const x = rect.x * view.k + view.x;
  const y = rect.y * view.k + view.y;
  const right = x + rect.width * view.k - (size.width - inset.right);
  const bottom = y + rect.height * view.k - (size.height - inset.bottom);
  const dx = Math.max(0, inset.left - x) - Math.max(0, right);
  const dy = Math.max(0, inset.top - y) - Math.max(0, bottom);
  return dx === 0 && dy === 0 ? view : { ...view, x: view.x + dx, y: view.y + dy };
}
