/**
 * Where cards and bands are, and what is remembered of it. Apart from `layout.ts`, so that the page does
 * not load the library that lays out: only the worker does.
 */
import type { Band } from "./graph";

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Place extends Rect {
  readonly id: string;
  readonly band: Band;
  /** How many docked rows there is room for; the rest is behind "+n more". */
  readonly dockedShown: number;
}

export interface BandBox extends Rect {
  readonly band: Band;
}

export interface Layout {
  readonly places: readonly Place[];
  readonly bands: readonly BandBox[];
}

/** What is remembered of a card between visits. */
export interface Kept {
  readonly x: number;
  readonly y: number;
  readonly band: Band;
}

export const CARD_HEIGHT = 48;
export const PILL_HEIGHT = 34;

export function overlap(a: Rect, b: Rect, margin: number): boolean {
  return (
    a.x < b.x + b.width + margin &&
    b.x < a.x + a.width + margin &&
    a.y < b.y + b.height + margin &&
    b.y < a.y + a.height + margin
  );
}

/** What to remember of a layout. */
export function toKept(layout: Layout): Record<string, Kept> {
  return Object.fromEntries(layout.places.map(({ id, x, y, band }) => [id, { x, y, band }]));
}
